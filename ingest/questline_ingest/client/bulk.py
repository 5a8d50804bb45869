"""Send events from Python: in batches, several on their way at once, again and again until each has its answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Self

import grpc

from questline_core.errors import NotReady
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.connection import IN_THE_CLEAR, Access
from questline_ingest.client.sending import Call, OnAnswers, Sending, SendReport
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub

MAX_BATCH_BYTES = 3 * 2**20
"""A batch is closed before it grows beyond this, so that it fits any gRPC server's default limit of 4 MiB."""


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
        access: Access = IN_THE_CLEAR,
    ) -> None:
        """Prepare a connection; it is made on entering.

        Args:
            address: host:port of the gateway.
            batch_size: most events in one call; fewer when they are large.
            in_flight: most calls that wait for their answer at once.
            connect_timeout_s: how long entering waits for a gateway, in seconds.
            call_timeout_s: how long one call may take, in seconds; then it is sent again.
            give_up_after_s: how long nothing may get through before `send_all` gives up, in seconds.
            access: TLS and the title's API key.
        """
        self.address, self._access = address, access
        self._batch_size, self._in_flight, self._connect_timeout_s = batch_size, in_flight, connect_timeout_s
        self._call_timeout_s, self._give_up_after_s = call_timeout_s, give_up_after_s

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            NotReady: no gateway answers.
            BadInput: the access cannot be used.
        """
        self._channel = self._access.open_channel(self.address)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=self._connect_timeout_s)
        except grpc.FutureTimeoutError:
            self._channel.close()
            raise NotReady(
                f"no gateway answers at {self.address} within {self._connect_timeout_s:g} s; start one with "
                "`questline up` or `questline gateway serve`, name another with QUESTLINE_LISTEN, or set QUESTLINE_CA "
                "or QUESTLINE_TLS=true where it speaks TLS"
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
            return self._stub.Send.future(request, timeout=self._call_timeout_s, metadata=self._access.metadata)

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
