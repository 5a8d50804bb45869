# Identities of everything that runs in the cluster, and Kubeflow Pipelines itself.

locals {
  acting = merge([
    for account, users in var.workloads : {
      for user in users : "${account}=${user}" => { account = account, user = user }
    }
  ]...)

  roles = merge([
    for account, roles in var.project_roles : {
      for role in roles : "${account}=${role}" => { account = account, role = role }
    }
  ]...)

  # Kubeflow Pipelines' own manifests, applied in the order that its installation page gives.
  kubeflow = "github.com/kubeflow/pipelines/manifests/kustomize"
}

resource "google_service_account" "this" {
  for_each = var.workloads

  project      = var.project
  account_id   = each.key
  display_name = "Questline: ${each.key}"
}

# A pod acts as the Google identity of its service account; nobody holds a key.
resource "google_service_account_iam_member" "acting" {
  for_each = local.acting

  service_account_id = google_service_account.this[each.value.account].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${each.value.user}]"
}

resource "google_project_iam_member" "this" {
  for_each = local.roles

  project = var.project
  role    = each.value.role
  member  = google_service_account.this[each.value.account].member
}

resource "terraform_data" "kubeflow" {
  count = var.kubeflow == null ? 0 : 1

  triggers_replace = var.kubeflow

  provisioner "local-exec" {
    command = <<-SH
      set -e
      kubectl --context "$CONTEXT" apply -k "${local.kubeflow}/cluster-scoped-resources?ref=$VERSION"
      kubectl --context "$CONTEXT" wait --for condition=established --timeout=60s crd/applications.app.k8s.io
      kubectl --context "$CONTEXT" apply -k "${local.kubeflow}/env/platform-agnostic?ref=$VERSION"
    SH

    environment = {
      CONTEXT = var.kubeflow.context
      VERSION = var.kubeflow.version
    }
  }
}
