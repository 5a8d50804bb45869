# What starts a training by itself: an alert on write load, and exports that are finished, pushed to the trigger service.

locals {
  agents = {
    pubsub     = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    monitoring = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
    storage    = "serviceAccount:service-${var.project_number}@gs-project-accounts.iam.gserviceaccount.com"
  }

  # Each source has a topic, whose messages are pushed to the path of its name.
  sources = {
    load   = local.agents.monitoring
    export = local.agents.storage
  }
}

resource "google_pubsub_topic" "source" {
  for_each = local.sources

  project = var.project
  name    = "${var.name}-trigger-${each.key}"
  labels  = var.labels
}

resource "google_pubsub_topic_iam_member" "source" {
  for_each = local.sources

  project = var.project
  topic   = google_pubsub_topic.source[each.key].name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_topic" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-trigger-dead-letters"
  labels                     = var.labels
  message_retention_duration = "2678400s"
}

resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-trigger-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  labels                     = var.labels
  message_retention_duration = "2678400s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "push" {
  for_each = local.sources

  project              = var.project
  name                 = "${var.name}-trigger-${each.key}"
  topic                = google_pubsub_topic.source[each.key].id
  labels               = var.labels
  ack_deadline_seconds = 60

  push_config {
    push_endpoint = "${var.trigger_url}/${each.key}"

    oidc_token {
      service_account_email = var.push_account
      audience              = var.trigger_url
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 5
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub's agent publishes dead letters, acknowledges what it gave up, and makes tokens as the pushing identity.
resource "google_pubsub_topic_iam_member" "agent_publishes_dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.agents.pubsub
}

resource "google_pubsub_subscription_iam_member" "agent_acknowledges" {
  for_each = local.sources

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
}

resource "google_service_account_iam_member" "agent_makes_tokens" {
  service_account_id = var.push_account_id
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.agents.pubsub
}

resource "google_monitoring_notification_channel" "load" {
  project      = var.project
  display_name = "${var.name}: write load"
  type         = "pubsub"
  user_labels  = var.labels

  labels = {
    topic = google_pubsub_topic.source["load"].id
  }

  depends_on = [google_pubsub_topic_iam_member.source]
}

resource "google_monitoring_alert_policy" "load" {
  project               = var.project
  display_name          = "${var.name}: many writes to the warehouse"
  combiner              = "OR"
  severity              = "WARNING"
  user_labels           = var.labels
  notification_channels = [google_monitoring_notification_channel.load.id]

  conditions {
    display_name = "More than ${var.load.write_requests} write requests in ${var.load.window_s / 60} minutes"

    condition_threshold {
      filter = join(" AND ", [
        "metric.type = \"dataflow.googleapis.com/job/bigquery/write_count\"",
        "resource.type = \"dataflow_job\"",
        "resource.label.job_name = \"${var.streaming_job}\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = var.load.write_requests
      duration        = "0s"

      aggregations {
        alignment_period     = "${var.load.window_s}s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "The warehouse takes many rows. The trigger service looks for new labels, and starts the spend pipeline if there are enough."
  }

  alert_strategy {
    auto_close = "1800s"
  }
}

resource "google_storage_notification" "export" {
  bucket         = var.exports_bucket
  topic          = google_pubsub_topic.source["export"].id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]

  depends_on = [google_pubsub_topic_iam_member.source]
}
