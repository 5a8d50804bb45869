"""The broker in the cloud: Google Pub/Sub, or its emulator."""

from questline_core.broker.pubsub.adapter import PubSub, open_pubsub
from questline_core.broker.pubsub.setup import ensure

__all__ = ("PubSub", "ensure", "open_pubsub")
