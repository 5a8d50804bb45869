# The warehouse: one dataset for each owner of data, and the tables that the event contract gives.

locals {
  datasets = {
    telemetry   = "Events as they came, one row an event id, and rejected ones with their reason."
    features    = "What models learn from."
    models      = "Models that BigQuery ML trained."
    predictions = "What models answered, and what became of it."
    serving     = "The ledger: which revision served when, and from which data it was trained."
    privacy     = "Keyed hashes of players that must not come back."
  }

  day_ms = 24 * 60 * 60 * 1000

  writers = merge([
    for dataset, members in var.writers : {
      for name, member in members : "${dataset}/${name}" => { dataset = dataset, member = member }
    }
  ]...)

  readers = merge([
    for dataset, members in var.readers : {
      for name, member in members : "${dataset}/${name}" => { dataset = dataset, member = member }
    }
  ]...)
}

resource "google_bigquery_dataset" "this" {
  for_each = local.datasets

  project                    = var.project
  dataset_id                 = each.key
  description                = each.value
  location                   = var.location
  labels                     = var.labels
  delete_contents_on_destroy = !var.deletion_protection
}

resource "google_bigquery_table" "events" {
  project                  = var.project
  dataset_id               = google_bigquery_dataset.this["telemetry"].dataset_id
  table_id                 = "events"
  description              = "One row for each accepted event."
  schema                   = var.schemas["events"]
  clustering               = ["user_pseudo_id", "event_name"]
  require_partition_filter = false # features look at all that a player did
  labels                   = var.labels
  deletion_protection      = var.deletion_protection

  time_partitioning {
    type          = "DAY"
    field         = "event_date"
    expiration_ms = var.event_days == 0 ? null : var.event_days * local.day_ms
  }
}

resource "google_bigquery_table" "rejects" {
  project             = var.project
  dataset_id          = google_bigquery_dataset.this["telemetry"].dataset_id
  table_id            = "rejects"
  description         = "Events that broke the contract, with payload and reason, for a replay."
  schema              = var.schemas["rejects"]
  clustering          = ["reason"]
  labels              = var.labels
  deletion_protection = var.deletion_protection

  time_partitioning { # by the day on which a row came
    type          = "DAY"
    expiration_ms = var.reject_days * local.day_ms
  }
}

resource "google_bigquery_table" "predictions" {
  project             = var.project
  dataset_id          = google_bigquery_dataset.this["telemetry"].dataset_id
  table_id            = "predictions"
  description         = "Some of the answers that game clients were given, with what the models were asked."
  schema              = var.schemas["predictions"]
  clustering          = ["model", "user_pseudo_id"]
  labels              = var.labels
  deletion_protection = var.deletion_protection

  time_partitioning {
    type          = "DAY"
    field         = "served_time"
    expiration_ms = var.prediction_days == 0 ? null : var.prediction_days * local.day_ms
  }
}

resource "google_bigquery_table" "events_a_day" {
  project             = var.project
  dataset_id          = google_bigquery_dataset.this["telemetry"].dataset_id
  table_id            = "events_a_day"
  description         = "Events, players and spenders of each day, tests left out."
  labels              = var.labels
  deletion_protection = false # a view holds nothing

  view {
    use_legacy_sql = false
    query          = <<-SQL
      SELECT
        event_date,
        COUNT(*) AS events,
        COUNT(DISTINCT user_pseudo_id) AS players,
        COUNT(DISTINCT IF(event_name = 'spend_virtual_currency', user_pseudo_id, NULL)) AS spenders
      FROM `${var.project}.telemetry.events`
      WHERE is_test IS NOT TRUE
      GROUP BY event_date
    SQL
  }

  depends_on = [google_bigquery_table.events]
}

resource "google_bigquery_dataset_iam_member" "writers" {
  for_each = local.writers

  project    = var.project
  dataset_id = google_bigquery_dataset.this[each.value.dataset].dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = each.value.member
}

resource "google_bigquery_dataset_iam_member" "readers" {
  for_each = local.readers

  project    = var.project
  dataset_id = google_bigquery_dataset.this[each.value.dataset].dataset_id
  role       = "roles/bigquery.dataViewer"
  member     = each.value.member
}

resource "google_project_iam_member" "job_users" {
  for_each = var.job_users

  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = each.value
}
