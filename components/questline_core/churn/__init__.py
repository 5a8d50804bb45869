"""Churn: who comes back after the first day, told by GoogleSQL and BigQuery ML."""
