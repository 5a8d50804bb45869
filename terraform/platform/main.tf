# All of Questline in one project; an environment chooses nothing but values.

data "google_project" "this" {
  project_id = var.project
}

locals {
  services = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com",
    "binaryauthorization.googleapis.com",
    "certificatemanager.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudkms.googleapis.com",
    "compute.googleapis.com",
    "container.googleapis.com",
    "containeranalysis.googleapis.com",
    "dataflow.googleapis.com",
    "gkehub.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "multiclusteringress.googleapis.com",
    "multiclusterservicediscovery.googleapis.com",
    "pubsub.googleapis.com",
    "storage.googleapis.com",
  ])

  builds = {
    gateway  = { tests = "ingest", paths = ["ingest/**"] }
    load     = { tests = "ingest", paths = ["ingest/**"] }
    serving  = { tests = "kserve", paths = ["kserve/**"] }
    stream   = { tests = "beam", paths = ["beam/**"] }
    pipeline = { tests = "components", paths = ["pipelines/**"] }
    trigger  = { tests = "pipelines", paths = ["pipelines/**"] }
  }
}

resource "google_project_service" "this" {
  for_each = local.services

  project            = var.project
  service            = each.value
  disable_on_destroy = false # others may use them
}

module "org_policies" {
  source = "../modules/org_policies"
  count  = var.org_policies ? 1 : 0

  project = var.project
}

module "network" {
  source = "../modules/network"

  project = var.project
  name    = var.name
  regions = {
    for region, range in var.regions : region => {
      nodes    = range.nodes
      pods     = range.pods
      services = range.services
    }
  }

  depends_on = [google_project_service.this]
}

module "gke" {
  source   = "../modules/gke"
  for_each = var.regions

  project             = var.project
  name                = "${var.name}-${each.key}"
  region              = each.key
  network             = module.network.network
  subnetwork          = module.network.subnetworks[each.key]
  control_plane_range = each.value.control_plane
  operators           = var.operators
  deletion_protection = var.deletion_protection
  labels              = var.labels
}

module "game_clusters" {
  source = "../modules/game_clusters"
  count  = var.domain == null ? 0 : 1

  project  = var.project
  name     = var.name
  clusters = { for region, cluster in module.gke : region => cluster.id }
  entrance = var.home
  domain   = var.domain
  labels   = var.labels
}

module "pipelines" {
  source = "../modules/pipelines"

  project       = var.project
  workloads     = local.accounts
  project_roles = { for workload, roles in local.project_roles : "${var.name}-${workload}" => roles }
  kubeflow      = var.kubeflow

  depends_on = [module.gke]
}

module "telemetry" {
  source = "../modules/telemetry"

  project        = var.project
  project_number = data.google_project.this.number
  name           = var.name
  regions        = keys(var.regions)
  event_schema   = file("${path.module}/../schemas/event.proto")
  publishers     = local.publishers
  readers        = local.readers
  labels         = var.labels

  depends_on = [google_project_service.this]
}

module "warehouse" {
  source = "../modules/warehouse"

  project             = var.project
  location            = var.location
  schemas             = { for table in ["events", "rejects", "predictions"] : table => file("${path.module}/../schemas/${table}.json") }
  event_days          = var.event_days
  writers             = local.dataset_writers
  readers             = local.dataset_readers
  job_users           = local.job_users
  deletion_protection = var.deletion_protection
  labels              = var.labels

  depends_on = [google_project_service.this]
}

module "models" {
  source = "../modules/models"

  project             = var.project
  name                = var.name
  location            = var.location
  region              = var.home
  writers             = local.bucket_writers
  readers             = local.bucket_readers
  signers             = { pipeline = local.member["pipeline"], builder = local.member["builder"] }
  image_writers       = { builder = local.member["builder"] }
  image_readers       = { stream = local.member["stream"] }
  deletion_protection = var.deletion_protection
  labels              = var.labels

  depends_on = [google_project_service.this]
}

module "streaming" {
  source = "../modules/streaming"
  count  = var.template == null ? 0 : 1

  project           = var.project
  name              = "${var.name}-stream"
  region            = var.home
  template          = var.template
  account           = local.email["stream"]
  subnetwork        = module.network.subnetwork_links[var.home]
  temp_bucket       = module.models.buckets["pipelines"]
  subscription      = module.telemetry.subscription
  dead_letter_topic = module.telemetry.dead_letter_topic
  warehouse_url     = module.warehouse.warehouse_url
  workers           = var.workers
  labels            = var.labels
}

module "triggers" {
  source = "../modules/triggers"
  count  = var.trigger_url == null ? 0 : 1

  project         = var.project
  project_number  = data.google_project.this.number
  name            = var.name
  trigger_url     = var.trigger_url
  push_account    = local.email["push"]
  push_account_id = local.id["push"]
  exports_bucket  = module.models.buckets["exports"]
  streaming_job   = "${var.name}-stream"
  load            = var.load
  labels          = var.labels
}

module "ci" {
  source = "../modules/ci"
  count  = var.repository == null ? 0 : 1

  project     = var.project
  name        = var.name
  region      = var.home
  repository  = var.repository
  images      = "${var.registries.ours}/${module.models.images}"
  builders    = var.registries.builders
  builder     = local.id["builder"]
  attestor    = module.models.attestor
  signing_key = module.models.signing_key
  cluster     = module.gke[var.home].name
  services    = local.builds
}
