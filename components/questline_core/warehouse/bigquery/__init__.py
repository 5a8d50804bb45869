"""The warehouse in the cloud: BigQuery."""
