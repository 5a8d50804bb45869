"""Dashboards and alerts ask only for what the running processes tell, and each alert has its page."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from questline_core.errors import BrokerFull
from questline_core.lookup.metrics import LookupCollector
from questline_core.lookup.reader import LookupFacts
from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.pb import ingest_pb2 as pb
from questline_ingest.pb.ingest_pb2_grpc import IngestStub
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import ModelServer, an_event, serving_all

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "questline"
ADDED_BY_THE_SCRAPE = {"pod"}

Samples = Mapping[str, set[str]]
"""Names of samples, each with the names of its labels."""


def expressions() -> list[str]:
    boards = [json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))]
    shown = [target["expr"] for board in boards for panel in board["panels"] for target in panel["targets"]]
    return shown + [alert["expr"] for alert in alerts()]


def alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((CHART / "alerts.yaml").read_text())
    return found


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"questline_\w+", expression))


def labels_in(expression: str) -> set[str]:
    grouped = {name.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for name in group.split(",")}
    return grouped | set(re.findall(r"(\w+)!?=\"", expression))


def told_by(text: str) -> Samples:
    samples = defaultdict[str, set[str]](set)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name] |= sample.labels.keys()
    return samples


@pytest.fixture
async def told(tmp_path: Path) -> Samples:
    """What a gateway says that did and refused some work, and what a lookup says."""
    broker, model = MemoryBroker(), ModelServer()
    await model.start()
    settings = GatewaySettings(
        home=tmp_path, listen="127.0.0.1:0", notice_s=0, spend_address=model.address, spend_timeout_s=5
    )
    async with serving_all(settings, broker) as at, grpc.aio.insecure_channel(at.grpc) as channel:
        await IngestStub(channel).Send(pb.SendRequest(events=[an_event()], predict=[pb.SPEND]))
        broker.failure = BrokerFull("the spool", "full", retry_after_s=1)
        await IngestStub(channel).Send(pb.SendRequest(events=[an_event()]))
        async with httpx.AsyncClient(base_url=f"http://{at.admin}") as client:
            gateway = (await client.get("/metrics")).text
    await model.stop()
    registry = CollectorRegistry()
    registry.register(
        LookupCollector(lambda: {"churn": LookupFacts(generation="g000001", age_s=1.0, players=2, refused="")})
    )
    return told_by(gateway + generate_latest(registry).decode())


async def test_everything_that_is_shown_or_watched_is_told(told: Samples) -> None:
    asked = {name for expression in expressions() for name in names_in(expression)}

    assert len(expressions()) > 20
    assert asked - told.keys() == set()


async def test_a_page_names_only_what_is_told(told: Samples) -> None:
    pages = [path.read_text() for path in (*(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md"))]
    named = {name for page in pages for name in re.findall(r"`(questline_(?:gateway|lookup)_\w*[^\W_])`", page)}

    assert "questline_gateway_turned_away_total" in named
    assert named - told.keys() == set()


async def test_every_label_that_is_asked_for_is_one_of_that_metric(told: Samples) -> None:
    for expression in expressions():
        known = set.union(*(told[name] for name in names_in(expression))) | ADDED_BY_THE_SCRAPE
        assert labels_in(expression) <= known, expression


def test_every_panel_says_what_it_means() -> None:
    for path in (CHART / "dashboards").glob("*.json"):
        board = json.loads(path.read_text())
        assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in board["panels"])
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_alert_has_its_part_of_the_page() -> None:
    page = (ROOT / "docs" / "alerts.md").read_text()

    assert re.findall(r"^## (Questline\w+)$", page, re.MULTILINE) == [alert["alert"] for alert in alerts()]
    assert {alert["annotations"]["runbook"] for alert in alerts()} == {
        f"docs/alerts.md#{alert['alert'].lower()}" for alert in alerts()
    }
