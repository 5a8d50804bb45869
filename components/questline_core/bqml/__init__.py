"""BigQuery ML statements, trained and answered on any DuckDB."""

from questline_core.bqml.executor import Executor, Statements

__all__ = ("Executor", "Statements")
