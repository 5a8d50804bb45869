output "triggers" {
  description = "Id of the build of each service."
  value       = { for service, trigger in google_cloudbuild_trigger.this : service => trigger.trigger_id }
}
