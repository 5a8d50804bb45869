"""Settings of the trigger service."""

from __future__ import annotations

from pydantic import Field

from questline_pipelines.settings import PipelineSettings


class TriggerSettings(PipelineSettings):
    """What the trigger needs beside the addresses of the platform."""

    trigger_listen: str = "127.0.0.1:0"
    """HOST:PORT of the service; port 0 takes a free one."""
    trigger_audience: str = ""
    """Audience of the tokens of pushes: the address that Pub/Sub was given. Empty: no push is taken."""
    trigger_account: str = ""
    """E-mail address of the identity as which Pub/Sub pushes; no other is let in."""
    trigger_issuer: str = "https://accounts.google.com"
    """Who signs the tokens."""
    trigger_keys: str = "https://www.googleapis.com/oauth2/v3/certs"
    """Where the issuer's public keys are, as a JWK set."""
    trigger_buckets: str = "gs://"
    """What stands before the name of a bucket in the address of an export."""
    trigger_watch_s: float = Field(default=30.0, ge=0)
    """Pause between two looks at the warehouse; 0: only pushes start runs."""
    trigger_labels: int = Field(default=300, ge=1)
    """A look starts a run when so many labels have become due since the last training."""
    trigger_load_rows: int = Field(default=1000, ge=1)
    """More rows than this within the window count as load: then one new label is enough."""
    trigger_window_s: float = Field(default=900.0, gt=0)
    """The window in which rows are counted."""
    trigger_debounce_s: float = Field(default=900.0, ge=0)
    """Least time between the starts of two runs of one pipeline."""
    trigger_drift: float = Field(default=0.25, gt=0)
    """Stability index of an input or a score of the last 7 days (`questline monitor`): then one new label is enough."""
    trigger_drift_every_s: float = Field(default=3600.0, ge=0)
    """Least time between two looks for drift, which read the history of all players."""
    trigger_horizon_hours: int = Field(default=24, ge=1)
    """How far ahead the runs that are started predict spend: a label is due so long after its moment."""
    trigger_holdout_days: int = Field(default=7, ge=1)
    """Last days of the data, kept to judge the model with."""
    trigger_epochs: int = Field(default=20, ge=1)
    """How often the training of such a run goes through the examples."""
