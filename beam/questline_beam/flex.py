"""The parameters of the Flex Templates, turned into the streaming job or, where days are named, into a backfill."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from questline_beam import backfill, cloud
from questline_core.errors import BadInput
from questline_core.events.days import days_named
from questline_core.settings import PlatformSettings

_TOPIC = re.compile(r"projects/(?P<project>[^/]+)/topics/(?P<topic>[^/]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a launch of the stream's template asks for; `beam/flex/metadata.json` describes the parameters."""

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
        parser = _parser()
        parser.add_argument("--subscription", required=True)
        parser.add_argument("--dead_letter_topic", default="")
        given, options = parser.parse_known_args(arguments)
        return cls(
            settings=_settings(given),
            subscription=given.subscription,
            dead_letters=_broker(given.dead_letter_topic),
            options=options,
        )

    def submit(self) -> None:
        """Start the job."""
        cloud.submit(
            self.settings, subscription=self.subscription, dead_letters=self.dead_letters, options=self.options
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What a launch of the backfill's template asks for; `beam/flex/backfill.json` describes the parameters."""

    settings: PlatformSettings
    days: Sequence[date]
    archive: Sequence[str]
    skip_broken: bool
    options: Sequence[str]
    """Beam's own."""

    @classmethod
    def from_arguments(cls, arguments: Sequence[str]) -> Backfill:
        """Read the command line that Google's launcher makes.

        Raises:
            BadInput: a day has another form than YYYY-MM-DD or FIRST..LAST.
        """
        parser = _parser()
        parser.add_argument("--days", required=True)
        parser.add_argument("--archive", required=True)
        parser.add_argument("--skip_broken", type=str.lower, choices=("true", "false"), default="false")
        given, options = parser.parse_known_args(arguments)
        return cls(
            settings=_settings(given),
            days=days_named(given.days),
            archive=given.archive.split(),
            skip_broken=given.skip_broken == "true",
            options=options,
        )

    def submit(self) -> None:
        """Start the job."""
        backfill.submit(
            self.settings,
            days=self.days,
            archive=self.archive,
            skip_broken=self.skip_broken,
            options=self.options,
        )


def asked(arguments: Sequence[str]) -> Launch | Backfill:
    """Tell the job that a command line asks for: both templates have the same image, and only a backfill has days."""
    is_backfill = any(argument.startswith("--days=") for argument in arguments)
    return (Backfill if is_backfill else Launch).from_arguments(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)  # --sub… may be an option of Beam's
    parser.add_argument("--warehouse_url", required=True)
    parser.add_argument("--title")
    return parser


def _settings(given: argparse.Namespace) -> PlatformSettings:
    return PlatformSettings.read(warehouse=given.warehouse_url, title=given.title)


def _broker(topic: str) -> str:
    if not topic:
        return ""
    match = _TOPIC.fullmatch(topic)
    if not match:
        raise BadInput(f"{topic!r} is no topic; give dead_letter_topic as projects/PROJECT/topics/NAME")
    return f"pubsub:{match['project']}/{match['topic']}"


def main() -> None:
    """Start the job that the command line asks for; the launcher waits for nothing more."""
    asked(sys.argv[1:]).submit()
