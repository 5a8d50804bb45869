"""Every SQL file of churn is GoogleSQL, judged by its own analyzer over the tables that the files make."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from questline_core.churn import original
from questline_core.churn.tables import HOUR, Rules, Split, prepare, split
from questline_core.events.schema import TABLES, bigquery_schema
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.testing.googlesql_judge import Judge
from questline_core.warehouse.files import sql
from questline_core.warehouse.port import open_warehouse

ROOT = Path(str(files("questline_core"))) / "churn" / "sql"
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.sql"))
KINDS = {pa.string(): "STRING", pa.int64(): "INTEGER", pa.float64(): "FLOAT", pa.bool_(): "BOOLEAN"}

pytestmark = pytest.mark.timeout(600)  # the judge is compiled once, which takes 20 s of CPU


def _field(name: str, kind: str, mode: str = "NULLABLE", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "mode": mode, **more}


PREDICTED = [
    _field("predicted_churned", "INTEGER"),
    _field(
        "predicted_churned_probs", "RECORD", "REPEATED", fields=[_field("label", "INTEGER"), _field("prob", "FLOAT")]
    ),
]
EXPLAINED = [
    _field("predicted_churned", "INTEGER"),
    _field("probability", "FLOAT"),
    _field(
        "top_feature_attributions",
        "RECORD",
        "REPEATED",
        fields=[_field("feature", "STRING"), _field("attribution", "FLOAT")],
    ),
]
"""What BigQuery documents of ML.PREDICT and ML.EXPLAIN_PREDICT, whose rows the analyzer cannot know."""
CALLS = {
    "ML.PREDICT(MODEL churn.champion, TABLE churn.held_out)": "churn.predicted",
    "ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.to_score, STRUCT(3 AS top_k_features))": "churn.explained",
    "ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.held_out, STRUCT(14 AS top_k_features))": "churn.judged",
    "ML.EXPLAIN_PREDICT(MODEL churn.champion, TABLE churn.held_out, STRUCT(3 AS top_k_features))": "churn.judged",
}


@pytest.fixture(scope="module")
def judge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Knows the events and the tables that the files made of a few of them."""
    warehouse = open_warehouse(f"duckdb:{tmp_path_factory.mktemp('churn')}")
    came = [MONDAY + day * DAY for day in range(1, 30)]
    events = [
        an_event(f"p{at}", at + more, "user_engagement") for at in came for more in (0, HOUR, (at // DAY % 2) * 2 * DAY)
    ]
    fill(warehouse, {event.event_id: event for event in [an_event("old", MONDAY), *events]}.values())
    players = prepare(warehouse, Rules(grace_hours=0, warmup_hours=0))
    split(warehouse, Split(by_time=False))
    warehouse.query(sql("churn/to_score.sql"), as_of=players.as_of_micros, seen_after=0)
    original.players_from_events(warehouse)
    original.split(warehouse, Split(by_time=False))
    made = {name: warehouse.describe(name).schema for name in warehouse.tables() if name.startswith("churn.")}
    tables: dict[str, Any] = {f"telemetry.{name}": bigquery_schema(message) for name, message in TABLES.items()}
    tables |= {name: [_field(one.name, KINDS[one.type]) for one in schema] for name, schema in made.items()}
    tables["churn.predicted"] = [*tables["churn.held_out"], *PREDICTED]
    tables["churn.explained"] = [*tables["churn.to_score"], *EXPLAINED]
    tables["churn.judged"] = [*tables["churn.held_out"], *EXPLAINED]
    tables["churn.in_use"] = [_field("kind", "STRING"), _field("version", "STRING"), _field("threshold", "FLOAT")]
    tables["churn.scores"] = [
        *(_field(name, "STRING") for name in ("user_pseudo_id", "source")),
        *(_field(name, "INTEGER") for name in ("churned", "predicted_churned")),
        _field("probability_churned", "FLOAT"),
    ]
    tables["churn.published_users"] = [
        *(
            _field(name, "STRING")
            for name in ("user_first_engagement", "user_pseudo_id", "country_name", "device_os", "device_lang")
        ),
        *(_field(name, "INTEGER") for name in ("bounced", "churned")),
        *(field for field in tables["churn.training"] if field["name"].startswith("cnt_")),
    ]
    warehouse.close()
    cache = request.config.cache
    assert cache is not None
    return Judge(cache.mkdir("googlesql"), tables)


@pytest.mark.parametrize("file", FILES)
def test_a_sql_file_passes_googlesqls_own_analyzer(file: str, judge: Judge) -> None:
    text = sql(f"churn/{file}")
    for call, table in CALLS.items():
        text = text.replace(call, table)

    judge.analyze(text)


def test_the_judge_refuses_a_feature_that_no_table_has(judge: Judge) -> None:
    with pytest.raises(Exception, match="cnt_nothing"):
        judge.analyze(sql("churn/training.sql").replace("cnt_post_score", "cnt_nothing"))
