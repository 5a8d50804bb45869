"""The stand-in's Storage Write API: streams with offsets, Arrow rows judged by the table's columns, and commits."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types
from google.rpc import code_pb2  # type: ignore[import-untyped]

from questline_core.errors import BadInput
from questline_core.testing.bigquery.faults import Fault
from questline_core.testing.bigquery.project import Project

REQUEST_BYTES = 10_000_000
_ONE, _MANY = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
_FINALIZED, _COMMITTED = types.FinalizeWriteStreamResponse, types.BatchCommitWriteStreamsResponse
_SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"


@dataclass
class _Stream:
    table: str
    batches: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    finalized: bool = False
    committed: bool = False


class WriteService:
    """Answers the calls of the service BigQueryWrite."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._streams = dict[str, _Stream]()

    def create_stream(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Open a pending stream."""
        if request.write_stream.type_ != types.WriteStream.Type.PENDING:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this stand-in has pending streams and the default one")
        table = self._table(request.parent, context)
        name = f"{request.parent}/streams/{secrets.token_hex(8)}"
        self._streams[name] = _Stream(table)
        return types.WriteStream(name=name, type_=types.WriteStream.Type.PENDING)

    def append(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        """Take rows."""
        name, schema = "", None
        for request in requests:
            name = request.write_stream or name
            if request.arrow_rows.writer_schema.serialized_schema:
                schema = pa.ipc.read_schema(pa.py_buffer(request.arrow_rows.writer_schema.serialized_schema))
            if schema is None or not name:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first request names its stream and its schema")
            if types.AppendRowsRequest.pb(request).ByteSize() > REQUEST_BYTES:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "AppendRows request too large")
            if self._project.faults.strike(Fault.APPEND_REFUSED):
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")
            batch = pa.ipc.read_record_batch(pa.py_buffer(request.arrow_rows.rows.serialized_record_batch), schema)
            answer = self._take(name, request, pa.Table.from_batches([batch]), context)
            if self._project.faults.strike(Fault.APPEND_ANSWER_LOST):
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")
            yield answer

    def finalize(self, request: Any, _context: grpc.ServicerContext) -> Any:
        """Close a stream for more rows."""
        stream = self._streams[request.name]
        stream.finalized = True
        return types.FinalizeWriteStreamResponse(row_count=stream.rows)

    def commit(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Make the rows of finalized streams visible in one step."""
        kinds = types.StorageError.StorageErrorCode
        streams = [self._streams[name] for name in request.write_streams]
        if not all(stream.finalized for stream in streams):
            return _commit_error(kinds.STREAM_NOT_FINALIZED, "a stream is not finalized")
        if any(stream.committed for stream in streams):
            return _commit_error(kinds.STREAM_ALREADY_COMMITTED, "a stream is committed already")
        with self._project.lock:
            for stream in streams:
                self._project.warehouse.append(stream.table, pa.concat_tables(stream.batches))
                stream.committed = True
        if self._project.faults.strike(Fault.COMMIT_ANSWER_LOST):
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken off")
        return types.BatchCommitWriteStreamsResponse(commit_time={"seconds": 1_700_000_000})

    def _take(self, name: str, request: Any, rows: pa.Table, context: grpc.ServicerContext) -> Any:
        if name.endswith("/_default"):
            return self._take_now(name, request, rows, context)
        stream = self._streams.get(name)
        if stream is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no stream {name}")
        if stream.finalized:
            return _problem(code_pb2.INVALID_ARGUMENT, "the stream is finalized")
        if "offset" in request and request.offset != stream.rows:
            early = request.offset < stream.rows
            return _problem(
                code_pb2.ALREADY_EXISTS if early else code_pb2.OUT_OF_RANGE, f"offset, next is {stream.rows}"
            )
        if problem := self._misfit(stream.table, rows):
            return problem
        offset, stream.rows = stream.rows, stream.rows + rows.num_rows
        stream.batches.append(rows)
        return types.AppendRowsResponse(append_result={"offset": offset})

    def _take_now(self, name: str, request: Any, rows: pa.Table, context: grpc.ServicerContext) -> Any:
        if "offset" in request:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the default stream takes no offset")
        table = self._table(name.removesuffix("/streams/_default"), context)
        if problem := self._misfit(table, rows):
            return problem
        with self._project.lock:
            self._project.warehouse.append(table, rows)
        return types.AppendRowsResponse(append_result={}, write_stream=name)

    def _misfit(self, table: str, rows: pa.Table) -> Any:
        from questline_core.warehouse.columns import fit  # noqa: PLC0415 - with pyarrow only

        try:
            fit(rows, self._project.warehouse.describe(table).schema, table)
        except BadInput as error:
            return _problem(code_pb2.INVALID_ARGUMENT, f"SCHEMA_MISMATCH: {error}")
        return None

    def _table(self, path: str, context: grpc.ServicerContext) -> str:
        parts = path.split("/")
        table = f"{parts[3]}.{parts[5]}"
        if table not in self._project.warehouse.tables():
            context.abort(grpc.StatusCode.NOT_FOUND, f"Requested entity was not found: {table}")
        return table


def _problem(code: int, text: str) -> Any:
    return types.AppendRowsResponse(error={"code": code, "message": text})


def _commit_error(code: Any, text: str) -> Any:
    return types.BatchCommitWriteStreamsResponse(stream_errors=[{"code": code, "error_message": text}])


def serve_writes(project: Project) -> tuple[grpc.Server, int]:
    """Start the service on a free port of this machine; gives the server and the port."""
    service = WriteService(project)
    ways: tuple[tuple[str, Any, Any, Any, Any], ...] = (
        ("CreateWriteStream", _ONE, service.create_stream, types.CreateWriteStreamRequest, types.WriteStream),
        ("AppendRows", _MANY, service.append, types.AppendRowsRequest, types.AppendRowsResponse),
        ("FinalizeWriteStream", _ONE, service.finalize, types.FinalizeWriteStreamRequest, _FINALIZED),
        ("BatchCommitWriteStreams", _ONE, service.commit, types.BatchCommitWriteStreamsRequest, _COMMITTED),
    )
    handlers = {
        name: handler(act, request_deserializer=asked.deserialize, response_serializer=answered.serialize)
        for name, handler, act, asked, answered in ways
    }
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 2 * REQUEST_BYTES)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
