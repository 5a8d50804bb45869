"""Pull from a subscription, and keep messages from coming again while they are worked on."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from math import ceil
from typing import Any

import grpc
import structlog
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1.types import pubsub
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from questline_core.broker.port import MESSAGE_ID, Delivery, Message
from questline_core.broker.pubsub.address import Address
from questline_core.broker.pubsub.channels import PASSING, connect, explained, routed, unary
from questline_core.broker.pubsub.leases import Leases

EXTENSION_S = 30.0
"""Pub/Sub is asked for this much at a time, so that the messages of a consumer that dies come again soon."""
REQUEST_TIMEOUT_S = 10.0
PULL_MESSAGES, ACK_IDS = 1_000, 2_000
"""Most of one request; one with ack ids may have 512 KiB, and Google's ids take about 200 bytes."""

_PullRequest, _PullResponse = pubsub.PullRequest.pb(), pubsub.PullResponse.pb()
_AckRequest, _DeadlineRequest = pubsub.AcknowledgeRequest.pb(), pubsub.ModifyAckDeadlineRequest.pb()

log = structlog.get_logger()


class Subscriber:
    """One consumer; a thread extends its leases until they end or are done."""

    def __init__(self, address: Address, *, wait_s: float) -> None:
        """See `open_pubsub`."""
        self._path, self._wait_s = address.subscription_path, wait_s
        self._channel = connect(address)
        self._pull = unary(self._channel, "Subscriber/Pull", _PullResponse)
        self._acknowledge = unary(self._channel, "Subscriber/Acknowledge", Empty)
        self._modify = unary(self._channel, "Subscriber/ModifyAckDeadline", Empty)
        self._leases = Leases(time.monotonic)
        self._stop = threading.Event()
        self._extender = threading.Thread(target=self._extend_for_ever, name=f"leases of {self._path}", daemon=True)
        self._extender.start()

    def pull(self, *, max_messages: int, lease_s: float) -> list[Delivery]:
        """Take what is there, up to `max_messages`, waiting a little for the first."""
        deliveries: list[Delivery] = []
        give_up = time.monotonic() + self._wait_s
        while len(deliveries) < max_messages:
            wait_s = 0.0 if deliveries else max(0.0, give_up - time.monotonic())
            received = self._receive(min(max_messages - len(deliveries), PULL_MESSAGES), wait_s=wait_s)
            deliveries += self._hold(received, lease_s)
            if not received and not wait_s:
                break
        return deliveries

    def ack(self, ack_ids: Sequence[str]) -> None:
        """Tell that deliveries are done, those whose lease still runs."""
        for some in _runs(self._leases.finish(ack_ids)):
            self._ask(self._acknowledge, _AckRequest(subscription=self._path, ack_ids=some))

    def nack(self, ack_ids: Sequence[str]) -> None:
        """Give deliveries back at once."""
        for some in _runs(self._leases.finish(ack_ids)):
            self._set_deadline(some, 0.0)

    def held(self) -> int:
        """Count what this consumer holds."""
        return len(self._leases.running())

    def close(self) -> None:
        """End the thread; what is held comes again when its extension ends."""
        self._stop.set()
        self._extender.join()
        self._channel.close()

    def _receive(self, asked: int, *, wait_s: float) -> list[Any]:
        # A request that is given up may have taken messages with it; they come again after the subscription's own
        # deadline. So a wait is long enough to be rare, and what need not wait is answered at once.
        request = _PullRequest(subscription=self._path, max_messages=asked, return_immediately=not wait_s)
        try:
            response = self._ask(self._pull, request, timeout_s=wait_s or REQUEST_TIMEOUT_S, empty_after=wait_s)
        except TimeoutError:
            return []
        return list(response.received_messages)

    def _hold(self, received: Sequence[Any], lease_s: float) -> list[Delivery]:
        if not received:
            return []
        ack_ids = [one.ack_id for one in received]
        self._leases.begin(ack_ids, lease_s=lease_s)
        for some in _runs(ack_ids):
            self._set_deadline(some, min(lease_s, EXTENSION_S))
        return [_delivery(one) for one in received]

    def _extend_for_ever(self) -> None:
        while not self._stop.wait(EXTENSION_S / 3):
            try:
                self._extend()
            except Exception as error:  # noqa: BLE001 - without this thread every message would come twice
                log.warning("leases not extended", subscription=self._path, reason=str(error))

    def _extend(self) -> None:
        """Give each lease its next stretch; the last one ends with the lease, to the second."""
        stretches: dict[int, list[str]] = {}
        for ack_id, left_s in self._leases.running().items():
            stretches.setdefault(ceil(min(left_s, EXTENSION_S)), []).append(ack_id)
        for seconds, ack_ids in stretches.items():
            for some in _runs(ack_ids):
                self._set_deadline(some, seconds)

    def _set_deadline(self, ack_ids: Sequence[str], deadline_s: float) -> None:
        seconds = ceil(deadline_s)
        request = _DeadlineRequest(subscription=self._path, ack_ids=ack_ids, ack_deadline_seconds=seconds)
        self._ask(self._modify, request)

    def _ask(self, call: Any, request: Any, *, timeout_s: float = REQUEST_TIMEOUT_S, empty_after: float = 0.0) -> Any:
        """Make a call, again while its failure may pass.

        Raises:
            TimeoutError: nothing came, and `empty_after` says that this is no failure.
            NotReady: Pub/Sub refuses, or cannot be reached.
        """
        again = Retrying(
            retry=retry_if_exception(lambda error: _passes(error) and not (empty_after and _timed_out(error))),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            stop=stop_after_delay(REQUEST_TIMEOUT_S),
            reraise=True,
        )
        try:
            return again(call, request, timeout=timeout_s, metadata=routed("subscription", self._path))
        except grpc.RpcError as error:
            if empty_after and _timed_out(error):
                raise TimeoutError from None
            raise explained(error, f"a request for {self._path}") from None


def _delivery(received: Any) -> Delivery:
    message = received.message
    attributes = {**message.attributes, MESSAGE_ID: message.message_id}
    # Without a dead-letter policy Pub/Sub does not count.
    return Delivery(Message(message.data, attributes), received.ack_id, received.delivery_attempt or 1)


def _runs(ack_ids: Sequence[str]) -> list[Sequence[str]]:
    return [ack_ids[first : first + ACK_IDS] for first in range(0, len(ack_ids), ACK_IDS)]


def _passes(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() in PASSING


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
