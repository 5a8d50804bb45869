"""What Pub/Sub pushes: the envelope, an incident of Monitoring, and the news of a finished object."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from questline_core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One message as Pub/Sub hands it over; the same id may come more than once."""

    message_id: str
    data: bytes
    attributes: Mapping[str, str]

    @classmethod
    def from_body(cls, body: bytes) -> Push:
        """Read the body of a push.

        Raises:
            BadInput: it is not what Pub/Sub sends.
        """
        try:
            message = json.loads(body)["message"]
            return cls(
                message_id=str(message["messageId"]),
                data=base64.b64decode(message.get("data", ""), validate=True),
                attributes=dict(message.get("attributes") or {}),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(f"the push is no message of Pub/Sub ({type(error).__name__}: {error})") from None

    def content(self) -> Mapping[str, Any]:
        """Read the JSON object that it carries.

        Raises:
            BadInput: it carries something else.
        """
        try:
            content = json.loads(self.data)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise BadInput(f"message {self.message_id} carries no JSON object")
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An alert of Cloud Monitoring that opened or closed."""

    id: str
    is_open: bool

    @classmethod
    def of(cls, push: Push) -> Incident:
        """Read what a notification channel publishes.

        Raises:
            BadInput: the message tells of no incident.
        """
        incident = push.content().get("incident")
        if not isinstance(incident, dict) or not incident.get("incident_id") or "state" not in incident:
            raise BadInput(f"message {push.message_id} tells of no incident with an incident_id and a state")
        return cls(id=str(incident["incident_id"]), is_open=incident["state"] == "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An object of a bucket that is written to its end."""

    bucket: str
    name: str
    generation: str
    """Another number each time the object is written."""

    @classmethod
    def of(cls, push: Push) -> Finished | None:
        """Read a notification of Cloud Storage; None for other events than a finished object.

        Raises:
            BadInput: the message names no object.
        """
        told = push.attributes
        if told.get("eventType") != "OBJECT_FINALIZE":
            return None
        try:
            return cls(bucket=told["bucketId"], name=told["objectId"], generation=told["objectGeneration"])
        except KeyError as missing:
            raise BadInput(f"message {push.message_id} has no attribute {missing}") from None
