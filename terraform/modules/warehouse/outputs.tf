output "datasets" {
  description = "Id of each dataset by its name."
  value       = { for name, dataset in google_bigquery_dataset.this : name => dataset.dataset_id }
}

output "warehouse_url" {
  description = "The setting QUESTLINE_WAREHOUSE_URL."
  value       = "bigquery:${var.project}/${var.location}"
}
