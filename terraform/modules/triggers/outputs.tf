output "audience" {
  description = "Audience of the pushed tokens, which the trigger service expects."
  value       = var.trigger_url
}

output "dead_letter_subscription" {
  description = "Where pushes wait that failed five times."
  value       = google_pubsub_subscription.dead_letters.id
}
