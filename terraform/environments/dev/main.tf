# Small, in one region, and gone without a trace when it is destroyed.

module "questline" {
  source = "../../platform"

  project             = var.project
  location            = "EU"
  home                = "europe-west4"
  operators           = var.operators
  domain              = var.domain
  trigger_url         = var.trigger_url
  template            = var.template
  repository          = var.repository
  registries          = var.registries
  event_days          = 90
  workers             = { min = 1, max = 2 }
  deletion_protection = false
  labels              = { environment = "dev" }

  regions = {
    europe-west4 = {
      nodes         = "10.10.0.0/20"
      pods          = "10.20.0.0/14"
      services      = "10.10.16.0/20"
      control_plane = "172.16.0.0/28"
    }
  }
}
