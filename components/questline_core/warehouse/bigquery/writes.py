"""Write rows through the BigQuery Storage Write API, in Arrow's format.

Two ways: `at_least_once` on a table's default stream, where rows can be read as soon as they are acknowledged, and
`in_one_step` on a stream of its own, whose rows all become readable by one commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pyarrow as pa
from google.api_core import exceptions, retry
from google.cloud import bigquery_storage_v1 as storage
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.protobuf import wrappers_pb2
from google.rpc import code_pb2  # type: ignore[import-untyped]

from questline_core.errors import BadInput
from questline_core.warehouse.bigquery.settings import BigQuerySettings

REQUEST_BYTES = 9_000_000
"""One request holds 10 MB at most, schema and envelope included."""
_MAY_PASS = retry.if_exception_type(
    exceptions.Aborted,
    exceptions.DeadlineExceeded,
    exceptions.InternalServerError,
    exceptions.ResourceExhausted,
    exceptions.ServiceUnavailable,
    exceptions.Unknown,
    # A table that has just been made is not known everywhere for some seconds.
    exceptions.NotFound,
)
_COMMITTED = storage.types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED


class StreamWriter:
    """Writes to the tables of one project."""

    def __init__(self, project: str, settings: BigQuerySettings) -> None:
        self._project, self._timeout_s = project, settings.bigquery_timeout_s
        self._client = _client(settings)
        self._retry = retry.Retry(predicate=_MAY_PASS, initial=0.1, maximum=10.0, timeout=self._timeout_s)

    def at_least_once(self, table: str, rows: pa.Table) -> None:
        """Write rows that the reader tells apart: on a failure all are sent again, and some may be there twice."""
        stream = f"{self._path(table)}/streams/_default"
        batches = tuple(cut(rows))
        self._retry(lambda: self._send(stream, rows.schema, batches, offset=None))()

    def in_one_step(self, table: str, rows: pa.Table) -> None:
        """Write rows exactly once, all visible together: by offsets on a pending stream, then one commit."""
        path = self._path(table)
        pending = storage.types.WriteStream(type_=storage.types.WriteStream.Type.PENDING)
        stream = self._client.create_write_stream(
            parent=path, write_stream=pending, retry=self._retry, timeout=self._timeout_s
        ).name
        transfer = _Transfer(tuple(cut(rows)))
        self._retry(lambda: self._resume(stream, rows.schema, transfer))()
        self._client.finalize_write_stream(name=stream, retry=self._retry, timeout=self._timeout_s)
        self._retry(lambda: self._commit(path, stream))()

    def close(self) -> None:
        """Close the connection."""
        self._client.transport.close()

    def _path(self, table: str) -> str:
        dataset, _, name = table.partition(".")
        return f"projects/{self._project}/datasets/{dataset}/tables/{name}"

    def _resume(self, stream: str, schema: pa.Schema, transfer: _Transfer) -> None:
        """Send what was not acknowledged; an offset that is taken already holds the rows of an earlier try."""
        for _ in self._answers(stream, schema, transfer.left, offset=transfer.offset):
            transfer.acknowledged()

    def _send(self, stream: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch], *, offset: int | None) -> None:
        for _ in self._answers(stream, schema, batches, offset=offset):
            pass

    def _answers(
        self, stream: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch], *, offset: int | None
    ) -> Iterator[None]:
        """Send batches on one connection, and yield once for each that BigQuery says it has."""
        answers = self._client.append_rows(
            _requests(stream, schema, batches, offset),
            timeout=self._timeout_s,
            metadata=(("x-goog-request-params", f"write_stream={stream}"),),
        )
        missing = len(batches)
        for answer in answers:
            if answer.error.code not in (code_pb2.OK, code_pb2.ALREADY_EXISTS):
                raise _failure(answer)
            missing -= 1
            yield
        if missing:
            raise _error(code_pb2.UNAVAILABLE, f"{missing} requests were not answered")

    def _commit(self, path: str, stream: str) -> None:
        done = self._client.batch_commit_write_streams(
            storage.types.BatchCommitWriteStreamsRequest(parent=path, write_streams=[stream]), timeout=self._timeout_s
        )
        problems = [error for error in done.stream_errors if error.code != _COMMITTED]
        if problems:
            raise _error(code_pb2.FAILED_PRECONDITION, problems[0].error_message)


class _Transfer:
    """How far the batches of one stream were acknowledged."""

    def __init__(self, batches: tuple[pa.RecordBatch, ...]) -> None:
        self.left, self.offset = batches, 0

    def acknowledged(self) -> None:
        self.offset += self.left[0].num_rows
        self.left = self.left[1:]


def cut(rows: pa.Table) -> Iterator[pa.RecordBatch]:
    """Cut rows into batches that fit into one request each.

    Raises:
        BadInput: a single row is too large for a request.
    """
    for batch in rows.combine_chunks().to_batches():
        yield from _halves(batch)


def _halves(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    if pa.ipc.get_record_batch_size(batch) <= REQUEST_BYTES:
        yield batch
    elif batch.num_rows == 1:
        raise BadInput(
            f"a row is larger than the {REQUEST_BYTES:,} bytes that BigQuery takes; leave out its largest value"
        )
    else:
        middle = batch.num_rows // 2
        yield from _halves(batch.slice(0, middle))
        yield from _halves(batch.slice(middle))


def _requests(
    stream: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch], offset: int | None
) -> Iterator[storage.types.AppendRowsRequest]:
    for batch in batches:
        rows = storage.types.ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes())
        request = storage.types.AppendRowsRequest(
            write_stream=stream,
            arrow_rows=storage.types.AppendRowsRequest.ArrowData(rows=rows),
            trace_id="questline:append",
        )
        request.arrow_rows.writer_schema.serialized_schema = schema.serialize().to_pybytes()
        if offset is not None:
            request.offset = wrappers_pb2.Int64Value(value=offset)
            offset += batch.num_rows
        yield request


def _failure(answer: Any) -> exceptions.GoogleAPICallError:
    rows = "; ".join(f"row {error.index}: {error.message}" for error in list(answer.row_errors)[:3])
    text = f"{answer.error.message} ({rows})" if rows else answer.error.message
    return _error(answer.error.code, text)


def _error(code: int, text: str) -> exceptions.GoogleAPICallError:
    error: exceptions.GoogleAPICallError = exceptions.from_grpc_status(int(code), text)  # type: ignore[no-untyped-call]
    return error


def _client(settings: BigQuerySettings) -> Any:
    if not settings.bigquery_write_endpoint:
        return storage.BigQueryWriteClient()  # type: ignore[no-untyped-call]
    channel = grpc.insecure_channel(settings.bigquery_write_endpoint)
    transport = BigQueryWriteGrpcTransport(channel=channel)
    return storage.BigQueryWriteClient(transport=transport)  # type: ignore[no-untyped-call]
