"""The parameters of the Flex Template, turned into the streaming job."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from questline_beam.cloud import submit
from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings

_TOPIC = re.compile(r"projects/(?P<project>[^/]+)/topics/(?P<topic>[^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a launch of the template asks for; `beam/flex/metadata.json` describes the parameters."""

    settings: PlatformSettings
    subscription: str
    dead_letters: str
    """Address of the broker for rejects; empty when there is none."""
    options: Sequence[str]
    """Beam's own: runner, project, job name, and what else the launcher adds."""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Launch:
        """Read the command line that Google's launcher makes.

        Raises:
            BadInput: the topic of the dead letters has another form than projects/PROJECT/topics/NAME.
        """
        parser = argparse.ArgumentParser(allow_abbrev=False)  # --sub… may be an option of Beam's
        parser.add_argument("--subscription", required=True)
        parser.add_argument("--dead_letter_topic", default="")
        parser.add_argument("--warehouse_url", required=True)
        parser.add_argument("--title")
        given, options = parser.parse_known_args(arguments)
        return cls(
            settings=PlatformSettings.read(warehouse=given.warehouse_url, title=given.title),
            subscription=given.subscription,
            dead_letters=_broker(given.dead_letter_topic),
            options=options,
        )


def _broker(topic: str) -> str:
    if not topic:
        return ""
    match = _TOPIC.fullmatch(topic)
    if not match:
        raise BadInput(f"{topic!r} is no topic; give dead_letter_topic as projects/PROJECT/topics/NAME")
    return f"pubsub:{match['project']}/{match['topic']}"


def main() -> None:
    """Start the job that the command line asks for; the launcher waits for nothing more."""
    launch = Launch.from_arguments(sys.argv[1:])
    submit(launch.settings, subscription=launch.subscription, dead_letters=launch.dead_letters, options=launch.options)
