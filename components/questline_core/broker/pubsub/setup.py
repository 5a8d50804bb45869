"""Make the topic, the subscription and the place for dead letters, for an emulator or a developer's project."""

from __future__ import annotations

from typing import Any

import grpc
from google.pubsub_v1.types import pubsub

from questline_core.broker.port import MAX_ATTEMPTS
from questline_core.broker.pubsub.address import Address, parse
from questline_core.broker.pubsub.channels import connect, explained, unary

ACK_DEADLINE_S = 60
RETENTION_S = 7 * 24 * 3600
"""Pub/Sub keeps what nobody acknowledges for this long, and then forgets it."""
TIMEOUT_S = 10.0

_Topic, _Subscription = pubsub.Topic.pb(), pubsub.Subscription.pb()


def ensure(address: str, *, endpoint: str = "") -> None:
    """Make what the address names, where it is missing; what exists is left as it is.

    In Google's cloud the project's Pub/Sub service agent must be allowed to publish dead letters
    (`roles/pubsub.publisher` on SUBSCRIPTION-dead, `roles/pubsub.subscriber` on the subscription); Terraform grants it.

    Args:
        address: `PROJECT/TOPIC[/SUBSCRIPTION]`, as behind `pubsub:`.
        endpoint: `HOST:PORT` of an emulator.

    Raises:
        NotReady: Pub/Sub refuses, or cannot be reached.
    """
    where = parse(address, endpoint=endpoint)
    with connect(where) as channel:
        _make_topic(channel, where)
        if where.subscription:
            _make_topic(channel, where.dead)
            _make_subscription(channel, where.dead, _subscription(where.dead))
            _make_subscription(channel, where, _with_dead_letters(_subscription(where), where.dead))


def _make_topic(channel: grpc.Channel, where: Address) -> None:
    _make(unary(channel, "Publisher/CreateTopic", _Topic), _Topic(name=where.topic_path), where.topic_path)


def _make_subscription(channel: grpc.Channel, where: Address, subscription: Any) -> None:
    _make(unary(channel, "Subscriber/CreateSubscription", _Subscription), subscription, where.subscription_path)


def _subscription(where: Address) -> Any:
    return _Subscription(
        name=where.subscription_path,
        topic=where.topic_path,
        ack_deadline_seconds=ACK_DEADLINE_S,
        message_retention_duration={"seconds": RETENTION_S},
        expiration_policy={},  # one without a time: the subscription of a game that pauses stays
    )


def _with_dead_letters(subscription: Any, dead: Address) -> Any:
    subscription.dead_letter_policy.dead_letter_topic = dead.topic_path
    subscription.dead_letter_policy.max_delivery_attempts = MAX_ATTEMPTS
    return subscription


def _make(call: Any, request: Any, name: str) -> None:
    try:
        call(request, timeout=TIMEOUT_S, wait_for_ready=True)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
            raise explained(error, f"to make {name}") from None
