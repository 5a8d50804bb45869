"""What the BigQuery adapter can be told, by options of `open_warehouse` or by the environment."""

from __future__ import annotations

from pydantic import Field

from questline_core.settings import PlatformSettings


class BigQuerySettings(PlatformSettings):
    """Read from `QUESTLINE_BIGQUERY_…`; project and location come from the address `bigquery:PROJECT[/LOCATION]`."""

    bigquery_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of every job, as JSON: they divide the bill. `questline` is always there and names the kind of job."""
    bigquery_maximum_bytes_billed: int | None = Field(default=None, gt=0)
    """A query that would be billed for more bytes fails before it costs anything."""
    bigquery_timeout_s: float = Field(default=600.0, gt=0)
    """How long one call may take, retries and the job itself included, before it is given up."""
    bigquery_usd_per_tib: float = Field(default=6.25, ge=0)
    """On-demand price of 2^40 bytes read, for estimates; 6.25 is Google's list price in the US."""
    bigquery_endpoint: str = ""
    """Address of another server that speaks BigQuery's REST API; it is asked without credentials."""
    bigquery_write_endpoint: str = ""
    """HOST:PORT of its Storage Write API, which is reached without TLS."""
