# Players on two continents, everything protected against a destroy.

module "questline" {
  source = "../../platform"

  project             = var.project
  location            = "US"
  home                = "us-central1"
  operators           = var.operators
  domain              = var.domain
  trigger_url         = var.trigger_url
  template            = var.template
  repository          = var.repository
  registries          = var.registries
  workers             = { min = 2, max = 50 }
  org_policies        = true
  deletion_protection = true
  labels              = { environment = "prod" }

  regions = {
    us-central1 = {
      nodes         = "10.10.0.0/20"
      pods          = "10.20.0.0/14"
      services      = "10.10.16.0/20"
      control_plane = "172.16.0.0/28"
    }
    europe-west4 = {
      nodes         = "10.11.0.0/20"
      pods          = "10.24.0.0/14"
      services      = "10.11.16.0/20"
      control_plane = "172.16.0.16/28"
    }
  }
}
