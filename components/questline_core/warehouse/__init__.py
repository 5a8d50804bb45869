"""The warehouse: its port, GoogleSQL on DuckDB, and its embedded adapter."""
