"""A game's own client: events are on disk at once and travel when they can; the game never waits for the network."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self, TypeVar
from uuid import uuid4

import structlog
from google.protobuf.message import Message

from questline_core.errors import BadInput
from questline_core.events.checks import MAX_EVENT_BYTES
from questline_core.pb.telemetry_pb2 import Event
from questline_ingest.client.connection import IN_THE_CLEAR, Access
from questline_ingest.client.queue import Limits, Queue
from questline_ingest.client.uploading import OnRejected, Pace, Pause, Tally, Uploader
from questline_ingest.pb import ingest_pb2 as pb

_PACE, _LIMITS = Pace(), Limits()

log = structlog.get_logger()

P = TypeVar("P", bound=Message)


class GameClient:
    """Keeps a game's events until the gateway has them; a context manager. Any thread may use it.

    Nothing is recorded before the player agreed (`set_consent(given=True)`); the file of the queue remembers the word.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are named and have defaults
        self,
        address: str,
        queue_file: Path,
        *,
        access: Access = IN_THE_CLEAR,
        pace: Pace = _PACE,
        limits: Limits = _LIMITS,
        on_rejected: OnRejected | None = None,
    ) -> None:
        """Prepare a client; it starts on entering.

        Args:
            address: host:port of the gateway. It need not be there: events wait.
            queue_file: where events wait, also for the next start of the game; made when it is not there.
            access: TLS and the title's API key.
            pace: when batches go, and the pauses after failures.
            limits: how much may wait.
            on_rejected: called, from the thread that sends, with each event that breaks the contract, and why.
        """
        self._address, self._file, self._access = address, queue_file, access
        self._pace, self._limits, self._on_rejected = pace, limits, on_rejected
        self._changed = threading.Condition()
        self._recorded = self._withheld = self._withdrawn = 0

    def __enter__(self) -> Self:
        """Open the queue and start to send what waits in it.

        Raises:
            BadInput: the file is in use or cannot be written, or the access cannot be used.
        """
        self._queue = Queue(self._file, self._limits)
        try:
            self._channel = self._access.open_channel(self._address)
        except BadInput:
            self._queue.close()
            raise
        self._uploader = Uploader(self._channel, self._access, self._queue, self._pace, self._on_rejected)
        self._stopping, self._flushing, self._resting = False, False, False
        self._thread = threading.Thread(target=self._run, name="questline-client", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once; what is not acknowledged stays in the file. `flush` before gives it time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._uploader.withdraw()
        self._thread.join()
        self._channel.close()
        self._queue.close()

    @property
    def consent(self) -> bool | None:
        """What the player said last, in this run of the game or an earlier one; None before the first word."""
        return self._queue.consent

    def set_consent(self, *, given: bool) -> None:
        """Remember what the player says; a no empties the queue and stops the batch that is on its way."""
        with self._changed:
            if not given:
                self._uploader.withdraw()
            self._withdrawn += self._queue.set_consent(given=given)
            self._changed.notify_all()

    def record(self, event: Event) -> bool:
        """Keep an event for sending; False when there is no consent, and then nothing of it is kept.

        What the event does not say is filled in, in a copy of it: an id, the time (by the gateway's clock once that is
        known, and by this machine's in `client_time`), and the consent.

        Raises:
            BadInput: the event is larger than any gateway takes.
            NotReady: the disk is full.
        """
        return self._keep(self._completed(event)) is not None

    def predict(self, event: Event, model: pb.Model.ValueType, *, timeout_s: float, default: P) -> P:
        """Record an event, and ask a model about its player in the same call.

        Args:
            event: recorded as by `record`; its delivery does not hang on the answer.
            model: such as `pb.SPEND`.
            timeout_s: the longest wait for an answer, in seconds.
            default: what to say when there is none in time, such as `pb.SpendPrediction(value=0)`.

        Returns:
            The answer; or the default, marked with `source=DEFAULT` and why: no_consent, rejected, refused, no_answer,
            or no_prediction where the gateway says nothing of players to this title.
        """
        event = self._completed(event)
        number = self._keep(event, asking=True)
        if number is None:
            return _instead(default, "no_consent")
        try:
            answer = self._uploader.ask(number, event, model, timeout_s=timeout_s)
        finally:
            with self._changed:
                self._uploader.asking.pop(number)
                self._changed.notify_all()
        if answer is None:
            return _instead(default, "no_answer")
        field = pb.Model.Name(model).lower()
        if not answer.HasField(field):  # type: ignore[arg-type] # the name of a model is that of its field
            stored = answer.outcome in {pb.ACCEPTED, pb.DUPLICATE}
            return _instead(default, "no_prediction" if stored else pb.Outcome.Name(answer.outcome).lower())
        found: P = getattr(answer, field)
        return found

    def flush(self, *, timeout_s: float) -> bool:
        """Send what waits now, without waiting for full batches; True when the queue is empty in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._flushing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._queue.events, timeout=max(0.0, deadline - time.monotonic()))
            self._flushing = False
            return not self._queue.events

    @property
    def clock_skew_s(self) -> float | None:
        """The gateway's clock minus this machine's, in seconds; None before the first answer."""
        return self._uploader.clock.skew_s

    @property
    def tally(self) -> Tally:
        """What became of the events so far."""
        counts = self._uploader.counts
        return Tally(
            recorded=self._recorded,
            withheld=self._withheld,
            accepted=counts["accepted"],
            duplicate=counts["duplicate"],
            rejected=counts["rejected"],
            withdrawn=self._withdrawn,
            dropped=self._queue.dropped,
            waiting=self._queue.events,
            refused=counts["refused"],
            failed_calls=counts["failed_calls"],
            problem=self._uploader.problem,
        )

    def _keep(self, event: Event, *, asking: bool = False) -> int | None:
        with self._changed:
            if not self._queue.consent:
                self._withheld += 1
                return None
            data = event.SerializeToString()
            if len(data) > MAX_EVENT_BYTES:
                raise BadInput(f"event {event.event_id!r} takes {len(data):,} bytes and may take {MAX_EVENT_BYTES:,}")
            number = self._queue.push(data)
            self._recorded += 1
            if asking:
                self._uploader.asking[number] = len(data)
            # The sender looks by itself when the first one is due, so most events need not wake it.
            elif not self._resting and (self._uploader.ready == 1 or self._uploader.full()):
                self._changed.notify_all()
            return number

    def _completed(self, given: Event) -> Event:
        event = Event()
        event.CopyFrom(given)
        if not event.event_id:
            event.event_id = str(uuid4())
        if not event.HasField("client_time"):
            event.client_time = time.time_ns() // 1000
        if not event.HasField("event_timestamp"):
            event.event_timestamp = self._uploader.clock.now_us()
        if not event.HasField("consent"):
            event.consent.analytics = True
        return event

    def _run(self) -> None:
        while True:
            pause = self._step()
            with self._changed:
                self._changed.notify_all()
                self._resting = pause.must
                self._changed.wait_for(lambda: self._stopping or self._early(pause), timeout=pause.wait_s)  # noqa: B023
                if self._stopping:
                    return

    def _step(self) -> Pause:
        try:
            return self._uploader.step(flush=self._flushing)
        except Exception as error:
            log.exception("upload failed")
            self._uploader.problem = str(error)
            return Pause(self._pace.longest_backoff_s, must=True)

    def _early(self, pause: Pause) -> bool:
        if pause.must:
            return False
        return self._uploader.full() or (self._uploader.ready > 0 and (self._flushing or pause.wait_s is None))


def _instead(default: P, reason: str) -> P:
    told = type(default)()
    told.CopyFrom(default)
    told.source, told.reason = pb.DEFAULT, reason  # type: ignore[attr-defined] # every prediction has both
    return told
