"""Where everything is: the settings that all processes of one installation share, read once from the environment.

Every process has one settings object, a subclass of `PlatformSettings` with what that process needs beside. A setting
`spend_url` is read from `QUESTLINE_SPEND_URL`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from questline_core.errors import BadInput, NotReady


@dataclass(frozen=True, slots=True)
class Home:
    """The one folder that holds all embedded state."""

    root: Path

    @property
    def spool(self) -> Path:
        """The embedded broker: one SQLite database for each gateway process."""
        return self.root / "spool"

    @property
    def warehouse(self) -> Path:
        """The embedded warehouse: a folder of Parquet files for each table."""
        return self.root / "warehouse"

    @property
    def models(self) -> Path:
        """The model store: MODEL/VERSION/."""
        return self.root / "models"

    @property
    def serving(self) -> Path:
        """The InferenceService manifests that the local serving process obeys, and their status."""
        return self.root / "serving"

    @property
    def features(self) -> Path:
        """The snapshot of every player's running features, mapped by the gateway."""
        return self.root / "features"

    @property
    def lookup(self) -> Path:
        """The generations of the lookup of scored players, mapped by whoever answers from it."""
        return self.root / "lookup"

    @property
    def privacy(self) -> Path:
        """The secret of erasure, and the signed records of what was erased."""
        return self.root / "privacy"

    @property
    def pipelines(self) -> Path:
        """Outputs and cache of pipeline runs on this machine."""
        return self.root / "pipelines"

    @property
    def logs(self) -> Path:
        """One log file for each process of `questline up`."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """One file for each running process of `questline up`: its pid and ports."""
        return self.root / "run"


class PlatformSettings(BaseSettings):
    """What every process needs to find the others. An empty address means the embedded part under `home`."""

    model_config = SettingsConfigDict(env_prefix="QUESTLINE_", frozen=True, extra="ignore")

    home: Path = Path(".questline")
    """Folder of all embedded state."""
    broker: str = ""
    """Address of the broker: `spool:FOLDER` or `pubsub:PROJECT/TOPIC/SUBSCRIPTION`."""
    warehouse: str = ""
    """Address of the warehouse: `duckdb:FOLDER` or `bigquery:PROJECT[/LOCATION]`."""
    model_host: str = ""
    """Address of what serves the models: `folder:FOLDER` or `kserve:NAMESPACE`."""
    model_store: str = ""
    """Folder or URL (fsspec) that holds MODEL/VERSION/."""
    title: str = Field(default="game", min_length=1, max_length=64)
    """Title for events that bring none."""
    privacy_key: Path | None = None
    """File of the secret with which forgotten players are hashed; every process that writes rows needs the same."""

    otlp_endpoint: str = Field(
        default="", validation_alias=AliasChoices("otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT")
    )
    """URL of an OTLP collector (gRPC): gateway and stream send it spans; none are made unless it is set."""

    @classmethod
    def read(cls, **overrides: object) -> Self:
        """Read the settings from the environment; `None` in an override leaves the environment's value.

        Raises:
            BadInput: names every variable with a bad value and what is wrong with it.
        """
        try:
            return cls(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            lines = [
                f"QUESTLINE_{'_'.join(map(str, e['loc'])).upper()}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            ]
            raise BadInput("settings that cannot be used:\n  " + "\n  ".join(lines)) from None
        except SettingsError as error:  # raised before any value is checked; it names the field
            raise BadInput(f"a setting is written as JSON and is none: {error}") from None

    @classmethod
    def read_existing(cls) -> Self:
        """Read the settings for a command that looks at what is there, and makes nothing.

        Raises:
            BadInput: as for `read`.
            NotReady: there is no home, and no address of anything that is elsewhere.
        """
        settings = cls.read()
        elsewhere = settings.broker or settings.warehouse or settings.model_host or settings.model_store
        if not elsewhere and not settings.paths.root.is_dir():
            raise NotReady(
                f"there is no home at {settings.paths.root}; `questline up` makes one, "
                "or set QUESTLINE_HOME to the one that you mean"
            )
        return settings

    @property
    def paths(self) -> Home:
        """The folders under `home`, absolute."""
        return Home(self.home.expanduser().resolve())

    @property
    def broker_url(self) -> str:
        """Address of the broker, with the embedded default filled in."""
        return self.broker or f"spool:{self.paths.spool}"

    @property
    def warehouse_url(self) -> str:
        """Address of the warehouse, with the embedded default filled in."""
        return self.warehouse or f"duckdb:{self.paths.warehouse}"

    @property
    def model_host_url(self) -> str:
        """Address of what serves the models, with the embedded default filled in."""
        return self.model_host or f"folder:{self.paths.serving}"

    @property
    def model_store_url(self) -> str:
        """Root of the model store, with the embedded default filled in."""
        return self.model_store or str(self.paths.models)

    @property
    def privacy_key_file(self) -> Path:
        """File of the secret of erasure, with the embedded default filled in."""
        return self.privacy_key or self.paths.privacy / "key"
