# Guard rails of the project, for organisations that want them set with it.

resource "google_org_policy_policy" "enforced" {
  for_each = var.enforced

  name   = "projects/${var.project}/policies/${each.value}"
  parent = "projects/${var.project}"

  spec {
    rules {
      enforce = "TRUE"
    }
  }
}

resource "google_org_policy_policy" "locations" {
  count = length(var.locations) == 0 ? 0 : 1

  name   = "projects/${var.project}/policies/gcp.resourceLocations"
  parent = "projects/${var.project}"

  spec {
    rules {
      values {
        allowed_values = var.locations
      }
    }
  }
}
