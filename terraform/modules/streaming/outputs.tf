output "job" {
  description = "Id of the running job."
  value       = google_dataflow_flex_template_job.stream.job_id
}
