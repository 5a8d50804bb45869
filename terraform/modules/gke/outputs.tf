output "name" {
  description = "Name of the cluster."
  value       = google_container_cluster.this.name
}

output "id" {
  description = "Full id of the cluster."
  value       = google_container_cluster.this.id
}

output "connect" {
  description = "Command that gives kubectl access."
  value       = "gcloud container clusters get-credentials ${google_container_cluster.this.name} --location ${var.region} --project ${var.project}"
}
