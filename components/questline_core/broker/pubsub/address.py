"""Read `PROJECT/TOPIC[/SUBSCRIPTION][?endpoint=HOST:PORT]`, and make the names that Pub/Sub wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from questline_core.errors import BadInput

GOOGLE = "pubsub.googleapis.com:443"

_ADDRESS = re.compile(r"([a-z0-9.:-]+)/([A-Za-z][\w.~+%-]{2,254})(?:/([A-Za-z][\w.~+%-]{2,254}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A topic, perhaps a subscription to it, and who serves them."""

    project: str
    topic: str
    subscription: str = ""
    endpoint: str = ""
    """`HOST:PORT` of an emulator, spoken to without encryption and credentials; empty for Google."""

    @property
    def topic_path(self) -> str:
        """Full name of the topic."""
        return f"projects/{self.project}/topics/{self.topic}"

    @property
    def subscription_path(self) -> str:
        """Full name of the subscription.

        Raises:
            BadInput: the address has none.
        """
        if not self.subscription:
            raise BadInput(
                f"pubsub:{self.project}/{self.topic} names no subscription to pull from; write "
                "PROJECT/TOPIC/SUBSCRIPTION"
            )
        return f"projects/{self.project}/subscriptions/{self.subscription}"

    @property
    def dead(self) -> Address:
        """Where messages go that were given up, and who keeps them until somebody looks."""
        name = f"{self.subscription}-dead"
        return Address(project=self.project, topic=name, subscription=name, endpoint=self.endpoint)


def parse(text: str, *, endpoint: str = "") -> Address:
    """Read an address; the argument counts more than an endpoint in the text.

    Raises:
        BadInput: it is none.
    """
    names, _, query = text.partition("?")
    options = parse_qs(query)
    found = _ADDRESS.fullmatch(names)
    if not found or options.keys() - {"endpoint"}:
        raise BadInput(
            f"Pub/Sub address {text!r} is not understood; write PROJECT/TOPIC/SUBSCRIPTION, "
            "and for an emulator ?endpoint=HOST:PORT behind it"
        )
    project, topic, subscription = found.groups(default="")
    given = endpoint or options.get("endpoint", [""])[-1]
    return Address(project=project, topic=topic, subscription=subscription, endpoint=given)
