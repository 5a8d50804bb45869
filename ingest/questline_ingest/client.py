"""Send events from Python: in batches, several on their way at once, again and again until each has its answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Self

import grpc

from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.sending import Call, GaveUp, OnAnswers, Sending, SendReport

__all__ = ("Client", "GaveUp", "OnAnswers", "SendReport")

MAX_BATCH_BYTES = 3 * 2**20
"""A batch is closed before it grows beyond this, so that it fits any gRPC server's default limit of 4 MiB."""

_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    # The default waits up to two minutes before it looks again for a gateway that was restarted.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.enable_http_proxy", 0),
)


class Client:
    """A connection to one gateway; a context manager. Use it from one thread."""

    def __init__(  # noqa: PLR0913 - all but the address are named and have defaults
        self,
        address: str,
        *,
        batch_size: int = 500,
        in_flight: int = 4,
        connect_timeout_s: float = 10.0,
        call_timeout_s: float = 30.0,
        give_up_after_s: float = 60.0,
    ) -> None:
        """Prepare a connection; it is made on entering.

        Args:
            address: host:port of the gateway.
            batch_size: most events in one call; fewer when they are large.
            in_flight: most calls that wait for their answer at once.
            connect_timeout_s: how long entering waits for a gateway, in seconds.
            call_timeout_s: how long one call may take, in seconds; then it is sent again.
            give_up_after_s: how long nothing may get through before `send_all` gives up, in seconds.
        """
        self.address = address
        self._batch_size, self._in_flight, self._connect_timeout_s = batch_size, in_flight, connect_timeout_s
        self._call_timeout_s, self._give_up_after_s = call_timeout_s, give_up_after_s

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            NotReady: no gateway answers.
        """
        self._channel = grpc.insecure_channel(self.address, options=_CHANNEL_OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=self._connect_timeout_s)
        except grpc.FutureTimeoutError:
            self._channel.close()
            raise NotReady(
                f"no gateway answers at {self.address} within {self._connect_timeout_s:g} s; start one with "
                "`questline up` or `questline gateway serve`, or name another with QUESTLINE_LISTEN"
            ) from None
        self._stub = IngestStub(self._channel)
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def send_all(
        self,
        events: Iterable[Event],
        *,
        predict: Collection[pb.Model.ValueType] = (),
        on_progress: Callable[[SendReport], None] | None = None,
        on_answers: OnAnswers | None = None,
    ) -> SendReport:
        """Send events until each is accepted, a duplicate or rejected; what is refused or lost is sent again.

        An event whose first answer was lost and whose resend is a DUPLICATE counts as accepted and as recovered. (A
        copy of an event of an earlier run counts so too: the gateway cannot tell them apart.)

        Args:
            events: each with its `event_id`, which stays the same on a resend. Taken only as fast as they are answered.
            predict: models to ask for the player of each event, such as `pb.SPEND`.
            on_progress: called with the report so far after each answered call.
            on_answers: called with the events of a call, their answers, and which attempt it was, counted from 1;
                in the order in which answers come, not that of the events. A refused event comes again.

        Raises:
            GaveUp: nothing got through for `give_up_after_s`.
            BadInput: the gateway cannot take a call, however often it is sent.
        """

        def start(batch: Sequence[Event]) -> Call:
            request = pb.SendRequest(events=batch, predict=predict)
            return self._stub.Send.future(request, timeout=self._call_timeout_s)

        batches = _batches(events, self._batch_size)
        sending = Sending(
            start, batches, in_flight=self._in_flight, address=self.address, give_up_after_s=self._give_up_after_s
        )
        return sending.run(on_progress, on_answers)


def _batches(events: Iterable[Event], size: int) -> Iterator[list[Event]]:
    batch: list[Event] = []
    weight = 0
    for event in events:
        more = event.ByteSize()
        if batch and (len(batch) == size or weight + more > MAX_BATCH_BYTES):
            yield batch
            batch, weight = [], 0
        batch.append(event)
        weight += more
    if batch:
        yield batch
