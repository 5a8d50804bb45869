output "buckets" {
  description = "Name of each bucket: models, exports, pipelines."
  value       = { for name, bucket in google_storage_bucket.this : name => bucket.name }
}

output "images" {
  description = "Path of the image registry inside its host: PROJECT/REPOSITORY."
  value       = "${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "signing_key" {
  description = "Id of the key that signs models and images."
  value       = google_kms_crypto_key.signing.id
}

output "attestor" {
  description = "Binary Authorization attestor in whose name images are signed."
  value       = google_binary_authorization_attestor.builds.id
}
