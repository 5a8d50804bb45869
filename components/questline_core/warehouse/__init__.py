"""The warehouse: its port, and its adapters: GoogleSQL on DuckDB here, BigQuery in the cloud."""
