"""Run jobs on BigQuery: queries and loads, each once however often its request must be sent, and within a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, TypeVar

import pyarrow as pa
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from questline_core.errors import BadInput
from questline_core.warehouse.bigquery.failures import is_server_fault
from questline_core.warehouse.bigquery.parameters import fill, parameters_of
from questline_core.warehouse.bigquery.settings import BigQuerySettings
from questline_core.warehouse.bigquery.shapes import plain

_REQUEST_TIMEOUT_S = 60.0
"""One HTTP request; what takes longer is asked for again, and the job goes on meanwhile."""
_Got = TypeVar("_Got")
_Config = TypeVar("_Config", bigquery.QueryJobConfig, bigquery.LoadJobConfig)


class Jobs:
    """The jobs of one project: every job has an id chosen here, so a request that is sent twice starts one job."""

    def __init__(self, project: str, location: str | None, settings: BigQuerySettings) -> None:
        self.client = _client(project, location, settings)
        self._settings, self._timeout_s = settings, settings.bigquery_timeout_s
        self.retry = bigquery.DEFAULT_RETRY.with_timeout(self._timeout_s)
        self._job_retry = bigquery.DEFAULT_RETRY.with_predicate(is_server_fault).with_timeout(self._timeout_s)

    @property
    def call(self) -> dict[str, Any]:
        """Arguments of every call of the client that is no job: how it is retried, and when it is given up."""
        return {"retry": self.retry, "timeout": min(self._timeout_s, _REQUEST_TIMEOUT_S)}

    def query(self, sql: str, values: Mapping[str, Any], *, kind: str = "query") -> bigquery.table.RowIterator:
        """Run one statement or script; a job that fails for a reason of BigQuery's own is started again."""
        config = self._config(kind, query_parameters=self._bind(sql, values))
        return self._again(lambda: self._start(sql, config).result(timeout=self._timeout_s, retry=self.retry))

    def rows(self, sql: str, values: Mapping[str, Any], *, kind: str = "query") -> pa.Table:
        """Run one statement or script and read all rows of its result."""
        found = self.query(sql, values, kind=kind)
        names = [field.name for field in found.schema or ()]
        twice = [name for index, name in enumerate(names) if name in names[:index]]
        if twice:
            raise BadInput(f"two columns of the result are named {twice[0]}; name them apart with AS")
        # The Storage Read API is faster for many rows; another server than Google's need not have it.
        fast = not self._settings.bigquery_endpoint
        return plain(found.to_arrow(create_bqstorage_client=fast, timeout=self._timeout_s))

    def bytes_read(self, sql: str, values: Mapping[str, Any]) -> int:
        """Ask how many bytes a statement would read; costs nothing."""
        job = self._dry_run(sql, self._bind(sql, values))
        return int(job.total_bytes_processed or 0)

    def load_file(self, file: IO[bytes], size: int, destination: Any, config: bigquery.LoadJobConfig) -> int:
        """Load a file of this machine and give its number of rows; all of them become visible in one step."""

        def load() -> bigquery.LoadJob:
            return self.client.load_table_from_file(
                file, destination, rewind=True, size=size, job_config=self._labelled(config, "load"),
                job_id_prefix="questline-load-", timeout=self.call["timeout"],
            )  # fmt: skip

        return self._load(load)

    def load_uris(self, uris: Sequence[str], destination: Any, config: bigquery.LoadJobConfig) -> int:
        """Load files that lie in Cloud Storage, which BigQuery reads itself."""

        def load() -> bigquery.LoadJob:
            return self.client.load_table_from_uri(
                list(uris), destination, job_config=self._labelled(config, "load"), job_id_prefix="questline-load-",
                **self.call,
            )  # fmt: skip

        return self._load(load)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()  # type: ignore[no-untyped-call]

    def _load(self, start: Callable[[], bigquery.LoadJob]) -> int:
        def run() -> int:
            job = start()
            job.result(timeout=self._timeout_s, retry=self.retry)
            return int(job.output_rows or 0)

        return self._again(run)

    def _again(self, run: Callable[[], _Got]) -> _Got:
        got: _Got = self._job_retry(run)()
        return got

    def _start(self, sql: str, config: bigquery.QueryJobConfig) -> bigquery.QueryJob:
        # Without job_retry: the client's own starts a job anew for ten minutes, whatever time was given.
        return self.client.query(
            sql, config, job_id_prefix=f"questline-{config.labels['questline']}-", job_retry=None, **self.call
        )

    def _bind(self, sql: str, values: Mapping[str, Any]) -> list[Any]:
        """Type the parameters; BigQuery itself tells the type of those that are None or [] from where they stand."""
        parameters = parameters_of(values)
        if not parameters.untyped:
            return list(parameters.typed)
        asked = self._dry_run(sql, list(parameters.typed)).undeclared_query_parameters
        learned = [fill(parameter, values[parameter.name]) for parameter in asked if parameter.name in values]
        return [*parameters.typed, *learned]

    def _dry_run(self, sql: str, parameters: list[Any]) -> bigquery.QueryJob:
        config = self._config("dry-run", query_parameters=parameters, dry_run=True, use_query_cache=False)
        config.maximum_bytes_billed = None
        return self._start(sql, config)

    def _config(self, kind: str, **options: Any) -> bigquery.QueryJobConfig:
        limit = self._settings.bigquery_maximum_bytes_billed
        if limit is not None:
            options["maximum_bytes_billed"] = limit
        return self._labelled(bigquery.QueryJobConfig(**options), kind)

    def _labelled(self, config: _Config, kind: str) -> _Config:
        config.labels = {**self._settings.bigquery_labels, "questline": kind}
        # BigQuery itself ends a job that nobody waits for any more.
        config.job_timeout_ms = int(self._timeout_s * 1000)
        return config


def again_if_missing(make: Callable[[], object], act: Callable[[], _Got]) -> _Got:
    """Do what needs a dataset; when there is none, make it and do it once more."""
    try:
        return act()
    except exceptions.NotFound as error:
        if "Dataset" not in str(error.message):
            raise
    make()
    return act()


def _client(project: str, location: str | None, settings: BigQuerySettings) -> bigquery.Client:
    if not settings.bigquery_endpoint:
        return bigquery.Client(project=project, location=location)
    options = ClientOptions(api_endpoint=settings.bigquery_endpoint)
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return bigquery.Client(project=project, location=location, client_options=options, credentials=nobody)
