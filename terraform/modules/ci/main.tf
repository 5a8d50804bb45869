# One build for each service, started by a push that touches its files.

resource "google_cloudbuild_trigger" "this" {
  for_each = var.services

  project         = var.project
  name            = "${var.name}-${each.key}"
  description     = "Build, test, sign and deploy: ${each.key}."
  location        = var.region
  filename        = "cloudbuild.yaml"
  included_files  = concat(each.value.paths, ["components/**", "pyproject.toml", "uv.lock", "docker-bake.hcl", "cloudbuild.yaml"])
  service_account = var.builder

  repository_event_config {
    repository = var.repository

    push {
      branch = var.branch
    }
  }

  substitutions = {
    _ATTESTOR    = var.attestor
    _BUILDERS    = var.builders
    _CLUSTER     = var.cluster
    _REGION      = var.region
    _REPOSITORY  = var.images
    _SERVICE     = each.key
    _SIGNING_KEY = var.signing_key
    _TESTS       = each.value.tests
  }
}
