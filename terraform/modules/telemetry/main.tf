# The road of the events: one topic, one subscription that exists before any job runs, and dead letters that are kept.

locals {
  service_agent = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# The contract, on record with its revisions. It is not enforced by the topic: rejected events travel on it too, with
# their payload as it came, and the gateway has checked the others.
resource "google_pubsub_schema" "event" {
  project    = var.project
  name       = "${var.name}-event"
  type       = "PROTOCOL_BUFFER"
  definition = var.event_schema
}

resource "google_pubsub_topic" "events" {
  project                    = var.project
  name                       = "${var.name}-events"
  labels                     = var.labels
  message_retention_duration = var.retention

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }
}

resource "google_pubsub_topic" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  labels                     = var.labels
  message_retention_duration = var.retention

  message_storage_policy {
    allowed_persistence_regions = var.regions
  }
}

resource "google_pubsub_subscription" "stream" {
  project                    = var.project
  name                       = "${var.name}-stream"
  topic                      = google_pubsub_topic.events.id
  labels                     = var.labels
  ack_deadline_seconds       = 60
  message_retention_duration = var.retention

  # Without this a subscription that nobody reads for a month is deleted, with its messages.
  expiration_policy {
    ttl = ""
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 5
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

# A dead letter that no subscription keeps is lost.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  labels                     = var.labels
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s" # 31 days, the longest there is

  expiration_policy {
    ttl = ""
  }
}

# Dead letters need both: Pub/Sub's agent publishes them, and acknowledges the message that it gave up.
resource "google_pubsub_topic_iam_member" "agent_publishes_dead_letters" {
  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = local.service_agent
}

resource "google_pubsub_subscription_iam_member" "agent_acknowledges" {
  project      = var.project
  subscription = google_pubsub_subscription.stream.name
  role         = "roles/pubsub.subscriber"
  member       = local.service_agent
}

resource "google_pubsub_topic_iam_member" "publishers" {
  for_each = var.publishers

  project = var.project
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_topic_iam_member" "readers_publish_dead_letters" {
  for_each = var.readers

  project = var.project
  topic   = google_pubsub_topic.dead_letters.name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

resource "google_pubsub_subscription_iam_member" "readers" {
  for_each = var.readers

  project      = var.project
  subscription = google_pubsub_subscription.stream.name
  role         = "roles/pubsub.subscriber"
  member       = each.value
}

# Beam asks the subscription for its topic and settings before it reads.
resource "google_pubsub_subscription_iam_member" "readers_look" {
  for_each = var.readers

  project      = var.project
  subscription = google_pubsub_subscription.stream.name
  role         = "roles/pubsub.viewer"
  member       = each.value
}
