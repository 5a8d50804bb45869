# The streaming job: a Flex Template on Dataflow. What is running is drained before it goes, so nothing half done is lost.

resource "google_dataflow_flex_template_job" "stream" {
  provider = google-beta

  project                 = var.project
  name                    = var.name
  region                  = var.region
  container_spec_gcs_path = var.template
  on_delete               = "drain"
  service_account_email   = var.account
  subnetwork              = var.subnetwork
  ip_configuration        = "WORKER_IP_PRIVATE"
  machine_type            = var.machine_type
  num_workers             = var.workers.min
  max_workers             = var.workers.max
  enable_streaming_engine = true
  temp_location           = "gs://${var.temp_bucket}/dataflow/temp"
  staging_location        = "gs://${var.temp_bucket}/dataflow/staging"
  labels                  = var.labels

  parameters = {
    subscription      = var.subscription
    dead_letter_topic = var.dead_letter_topic
    warehouse_url     = var.warehouse_url
  }

  # At-least-once is enough: the event id makes a row unique. It costs about half.
  additional_experiments = ["streaming_mode_at_least_once", "min_num_workers=${var.workers.min}"]
}
