# One build for each service, started by a push that touches its files.

resource "google_cloudbuild_trigger" "this" {
  for_each = var.services

  project         = var.project
  name            = "${var.name}-${each.key}"
  description     = "Build, test, sign and deploy: ${each.key}."
  location        = var.region
  filename        = each.value.file
  included_files  = each.value.paths
  service_account = var.builder

  repository_event_config {
    repository = var.repository

    push {
      branch = var.branch
    }
  }

  substitutions = {
    _IMAGES = var.images
    _REGION = var.region
  }
}
