output "topic" {
  description = "Topic that the gateway publishes to."
  value       = google_pubsub_topic.events.name
}

output "topic_id" {
  description = "Full id of the events' topic."
  value       = google_pubsub_topic.events.id
}

output "subscription" {
  description = "Subscription that the streaming job reads."
  value       = google_pubsub_subscription.stream.id
}

output "dead_letter_topic" {
  description = "Topic of messages that were given up, and of rows that the warehouse refused."
  value       = google_pubsub_topic.dead_letters.id
}

output "broker_url" {
  description = "The gateway's setting QUESTLINE_BROKER_URL."
  value       = "pubsub:${var.project}/${google_pubsub_topic.events.name}"
}
