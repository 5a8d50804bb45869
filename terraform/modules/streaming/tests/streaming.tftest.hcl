mock_provider "google-beta" {}

variables {
  project           = "questline-test"
  name              = "questline-stream"
  region            = "europe-west4"
  template          = "gs://questline-test-questline-pipelines/templates/stream-1.json"
  account           = "stream@questline-test.iam.gserviceaccount.com"
  subnetwork        = "regions/europe-west4/subnetworks/questline-europe-west4"
  temp_bucket       = "questline-test-questline-pipelines"
  subscription      = "projects/questline-test/subscriptions/questline-stream"
  dead_letter_topic = "projects/questline-test/topics/questline-dead-letters"
  warehouse_url     = "bigquery:questline-test/EU"
}

run "a_job_is_drained_and_has_no_public_address" {
  command = apply

  assert {
    condition     = google_dataflow_flex_template_job.stream.on_delete == "drain" && google_dataflow_flex_template_job.stream.ip_configuration == "WORKER_IP_PRIVATE"
    error_message = "The job would be cancelled with events in flight, or reachable from outside."
  }
}
