mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      name   = "projects/questline-test/serviceAccounts/mock@questline-test.iam.gserviceaccount.com"
      member = "serviceAccount:mock@questline-test.iam.gserviceaccount.com"
    }
  }
}

variables {
  project   = "questline-test"
  workloads = { "questline-gateway" = ["questline/gateway"] }
}

run "a_pod_acts_as_its_own_identity_only" {
  command = apply

  assert {
    condition     = google_service_account_iam_member.acting["questline-gateway=questline/gateway"].member == "serviceAccount:questline-test.svc.id.goog[questline/gateway]"
    error_message = "The Kubernetes service account is not the one that the chart makes."
  }
}

run "a_basic_role_is_refused" {
  command = plan

  variables {
    project_roles = { "questline-gateway" = ["roles/editor"] }
  }

  expect_failures = [var.project_roles]
}
