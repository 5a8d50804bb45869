"""What models answered becomes rows beside the events that asked, once, and nobody's who was forgotten."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.prism_runner import PrismRunner

from questline_beam.graph import Stream
from questline_beam.tables import create_tables
from questline_core.broker.port import SERVED, Message
from questline_core.pb.broker_pb2 import Feature, Served
from questline_core.privacy.forgotten import Forgotten
from questline_core.privacy.key import open_key
from questline_core.settings import PlatformSettings
from questline_core.warehouse.port import open_warehouse

PRISM = shutil.which("prism")
ROWS = "SELECT prediction_id, value, lower_bound, features FROM telemetry.predictions ORDER BY prediction_id"


def an_answer(event_id: str, player: str = "ann", **fields: Any) -> Served:
    given: dict[str, Any] = {
        "prediction_id": f"{event_id}/spend",
        "event_id": event_id,
        "model": "spend",
        "revision": "v1",
        "source": "FRESH",
        "user_pseudo_id": player,
        "served_time": 1_800_000_000_000_000,
        "value": 2.5,
        "features": [Feature(name="events", number=0.0), Feature(name="country", text=""), Feature(name="skill")],
    }
    return Served(**(given | fields))


def delivered(telemetry: Any, *answers: Served | bytes) -> list[Message]:
    data = [one if isinstance(one, bytes) else one.SerializeToString() for one in answers]
    return [telemetry.delivered(one, kind=SERVED, id="e") for one in data]


def test_an_answer_is_a_row_and_what_is_not_known_is_null(stream: Any, telemetry: Any) -> None:
    stream.publish(telemetry.message("e1"), *delivered(telemetry, an_answer("e1", lower_bound=0.0), an_answer("e2")))

    driver = stream.driver()
    driver.one_batch()

    features = [
        {"name": "events", "number": 0.0, "text": None},
        {"name": "country", "number": None, "text": ""},
        {"name": "skill", "number": None, "text": None},
    ]
    assert stream.table(ROWS) == [
        {"prediction_id": "e1/spend", "value": 2.5, "lower_bound": 0.0, "features": features},
        {"prediction_id": "e2/spend", "value": 2.5, "lower_bound": None, "features": features},
    ]
    assert stream.event_ids() == ["e1"]
    assert (driver.progress.rows, driver.progress.predictions, driver.progress.rejects) == (1, 2, 0)


def test_the_answer_to_a_resend_makes_no_second_row(stream: Any, telemetry: Any) -> None:
    stream.publish(*delivered(telemetry, an_answer("e1"), an_answer("e1", value=9.0)))
    driver = stream.driver()
    driver.one_batch()
    stream.publish(*delivered(telemetry, an_answer("e1", value=9.0)))
    driver.one_batch()

    assert [row["value"] for row in stream.table(ROWS)] == [2.5]
    assert driver.progress.duplicates == 2


def test_an_answer_that_cannot_be_read_is_rejected_alone(stream: Any, telemetry: Any) -> None:
    stream.publish(*delivered(telemetry, an_answer("e1"), b"\xff\xff", an_answer("e2")), telemetry.message("e3"))

    driver = stream.driver()
    driver.one_batch()

    assert [row["prediction_id"] for row in stream.table(ROWS)] == ["e1/spend", "e2/spend"]
    assert stream.table("SELECT reason, payload FROM telemetry.rejects") == [
        {"reason": "malformed", "payload": b"\xff\xff"}
    ]
    assert stream.event_ids() == ["e3"]


def test_an_answer_about_a_forgotten_player_is_not_stored(stream: Any, telemetry: Any) -> None:
    forgotten = Forgotten(stream.warehouse, open_key(PlatformSettings(home=stream.home)))
    forgotten.add("ann")
    driver = stream.driver()
    driver.forgotten = forgotten
    stream.publish(*delivered(telemetry, an_answer("e1"), an_answer("e2", player="bob")))
    driver.one_batch()

    assert [row["prediction_id"] for row in stream.table(ROWS)] == ["e2/spend"]
    assert driver.progress.forgotten == 1


@pytest.mark.skipif(PRISM is None, reason="Beam's portable runner `prism` is not on PATH")
def test_the_graph_makes_the_same_rows(tmp_path: Path, telemetry: Any) -> None:
    settings = PlatformSettings(home=tmp_path / "home", title="untitled")
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        create_tables(warehouse)
        Forgotten(warehouse, open_key(settings)).add("bob")
    answers: list[Served | bytes] = [an_answer("e1"), b"\xff\xff", an_answer("e1"), an_answer("e2", player="bob")]
    options = [f"--prism_location={PRISM}", "--environment_type=LOOPBACK", "--prism_log_level=error"]
    with beam.Pipeline(runner=PrismRunner(), options=PipelineOptions(options)) as pipeline:
        given = pipeline | beam.Create([telemetry.message("e1"), *delivered(telemetry, *answers)])
        given.element_type = Message
        given | "Stream" >> Stream(settings)

    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        assert [row["prediction_id"] for row in warehouse.query(ROWS).to_pylist()] == ["e1/spend"]
        rejects = warehouse.query("SELECT reason FROM telemetry.rejects").to_pylist()
        assert rejects == [{"reason": "malformed"}]
        assert warehouse.query("SELECT COUNT(*) AS n FROM telemetry.events").to_pylist() == [{"n": 1}]
