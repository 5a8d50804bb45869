"""Statements about models: what each does, and how each is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from questline_core.bqml import Executor
from questline_core.errors import BadInput

CREATE = "MODEL zoo.m OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS SELECT bill, mass FROM zoo.animals"


def test_a_model_is_made_once_unless_it_is_to_be_replaced_or_may_exist(bqml: Executor) -> None:
    bqml.run(f"CREATE {CREATE}")
    with pytest.raises(
        BadInput, match=r"line 1, column 14: there is a model zoo\.m already; write CREATE OR REPLACE MODEL"
    ):
        bqml.run(f"CREATE {CREATE}")
    bqml.run("CREATE MODEL IF NOT EXISTS " + CREATE.removeprefix("MODEL "))

    assert len(bqml.models.versions("zoo.m")) == 1
    bqml.run(f"CREATE OR REPLACE {CREATE}")
    assert len(bqml.models.versions("zoo.m")) == 2


def test_a_failed_replacement_leaves_the_old_model_in_use(bqml: Executor, rows: Callable[..., Any]) -> None:
    bqml.run(f"CREATE {CREATE}")
    before = rows("SELECT * FROM ML.WEIGHTS(MODEL zoo.m)")
    with pytest.raises(BadInput):
        bqml.run(f"CREATE OR REPLACE {CREATE} WHERE FALSE")

    assert rows("SELECT * FROM ML.WEIGHTS(MODEL zoo.m)") == before
    assert len(list((bqml.models.current("zoo.m").parent).iterdir())) == 2


def test_a_dropped_model_is_gone_from_disk(bqml: Executor, tmp_path: Path) -> None:
    bqml.run(f"CREATE {CREATE}")
    bqml.run("DROP MODEL zoo.m")

    assert bqml.models.names() == []
    assert not list((tmp_path / "models").rglob("*.model"))
    bqml.run("DROP MODEL IF EXISTS zoo.m")
    with pytest.raises(BadInput, match=r"line 1, column 12: there is no model zoo\.m; there are no models yet"):
        bqml.run("DROP MODEL zoo.m")


def test_a_model_keeps_statement_seed_and_the_version_of_its_data(bqml: Executor) -> None:
    bqml.run(f"CREATE {CREATE}")
    facts = json.loads((bqml.models.current("zoo.m") / "model.json").read_text())

    assert facts["statement"] == f"CREATE {CREATE}"
    assert facts["seed"] == 0
    assert len(facts["data_version"]) == 64
    assert facts["rows"] == {"training": 480, "held_out": 120}


def test_only_the_last_ten_versions_stay(bqml: Executor) -> None:
    for _ in range(12):
        bqml.run(f"CREATE OR REPLACE {CREATE} LIMIT 50")

    assert len(bqml.models.versions("zoo.m")) == 10


def test_a_model_keeps_no_row_of_its_training_data(bqml: Executor, train: Callable[..., None]) -> None:
    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, flipper, CONCAT('player-', CAST(MOD(id, 2) AS STRING), '') AS who")
    import pyarrow.parquet as pq

    assert pq.read_schema(bqml.models.current("zoo.m") / "held_out.parquet").names == ["label", "scores"]


def test_project_dataset_and_model_may_be_quoted_in_any_way(bqml: Executor, rows: Callable[..., Any]) -> None:
    bqml.run(CREATE.replace("zoo.m", "`acme-games.zoo.m`", 1).replace("MODEL", "CREATE MODEL", 1))

    assert bqml.models.names() == ["zoo.m"]
    for name in ("zoo.m", "`zoo`.`m`", "`zoo.m`", "`acme-games.zoo.m`"):
        assert rows(f"SELECT COUNT(*) AS n FROM ML.WEIGHTS(MODEL {name})") == [{"n": 2}]  # noqa: S608


def test_ml_functions_stand_wherever_a_table_may(bqml: Executor, rows: Callable[..., Any]) -> None:
    bqml.run(f"CREATE {CREATE}")
    found = rows(
        """
        WITH some AS (SELECT id, bill FROM zoo.animals WHERE id < @limit),
             scored AS (SELECT id, predicted_mass FROM ML.PREDICT(MODEL zoo.m, TABLE some))
        SELECT s.id, s.predicted_mass = p.predicted_mass AS same
        FROM scored AS s JOIN ML.PREDICT(MODEL zoo.m, (
            WITH again AS (SELECT * FROM some) SELECT id, bill FROM again)) AS p USING (id)
        ORDER BY id
    """,
        limit=3,
    )

    assert found == [{"id": 0, "same": True}, {"id": 1, "same": True}, {"id": 2, "same": True}]


ERRORS = {
    "DROP MODEL m": "line 1, column 12: 'm' is no name of a model; write DATASET.MODEL",
    "CREATE MODEL zoo.m AS SELECT 1": "line 1, column 20: expected TRANSFORM(…) or OPTIONS(MODEL_TYPE = …, …), found 'AS'",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='KMEANS') AS SELECT 1": "line 1, column 39: 'KMEANS' is no model type here; supported are LINEAR_REG, LOGISTIC_REG, BOOSTED",
    "CREATE MODEL zoo.m OPTIONS(L2_REG=1) AS SELECT 1": "line 1, column 27: OPTIONS must name the MODEL_TYPE; supported are LINEAR_REG",
    "CREATE MODEL zoo.m\n OPTIONS(MODEL_TYPE='LINEAR_REG',\n  COLOUR='red') AS SELECT 1": "line 3, column 3: there is no option COLOUR; the options are ACTIVATION_FN",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LINEAR_REG')": "line 1, column 52: expected AS and the query that gives the training rows, found the end of the text",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['mass']) AS\nSELECT mas FROM zoo.animals": "line 2, column 8: there is no column mas",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LINEAR_REG') AS SELECT mass FROM zoo.animals": "line 1, column 14: the query gives no column label; it gives mass",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LINEAR_REG', INPUT_LABEL_COLS=['species']) AS SELECT bill, species FROM zoo.animals": "line 1, column 53: the label species is STRING; LINEAR_REG learns numbers",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['heavy']) AS SELECT bill, heavy FROM zoo.animals WHERE heavy = 1": "line 1, column 55: the label heavy has 1 value among the training rows; LOGISTIC_REG needs 2 to 50",
    "CREATE MODEL zoo.m OPTIONS(MODEL_TYPE='LOGISTIC_REG', INPUT_LABEL_COLS=['heavy'], CLASS_WEIGHTS=[STRUCT('1', 2.0)]) AS SELECT bill, heavy FROM zoo.animals": "line 1, column 83: CLASS_WEIGHTS must weigh every class: 0, 1; it weighs 1",
    "SELECT * FROM ML.FORECAST(MODEL zoo.m)": "line 1, column 15: there is no function ML.FORECAST here; supported are ML.CONFUSION_MATRIX, ML.EVALUATE",
    "SELECT ML.BUCKETIZE(bill, [1, 2]) FROM zoo.animals": "line 1, column 8: ML.BUCKETIZE is supported in the TRANSFORM clause of CREATE MODEL only",
    "SELECT * FROM ML.PREDICT(MODEL zoo.lost, TABLE zoo.animals)": "line 1, column 32: there is no model zoo.lost; the models are zoo.there",
    "SELECT * FROM ML.PREDICT(MODEL zoo.there)": "line 1, column 15: ML.PREDICT needs rows: (query) or TABLE name after the model",
    "SELECT * FROM ML.PREDICT(MODEL zoo.there, (SELECT 1 AS x))": "line 1, column 15: the model was trained with a column bill, which the rows do not have; they have x",
    "SELECT * FROM ML.PREDICT(MODEL zoo.there, (SELECT 'long' AS bill))": "line 1, column 15: the model was trained with numbers in the column bill",
    "SELECT *\nFROM ML.EVALUATE(MODEL zoo.there,\n STRUCT(0.5 AS treshold))": "line 3, column 16: ML.EVALUATE has no setting treshold; its settings are threshold",
    "SELECT * FROM ML.EVALUATE(MODEL zoo.there, STRUCT(0.5 AS threshold))": "line 1, column 15: a threshold goes with a model of two classes; zoo.there predicts values",
    "SELECT * FROM ML.EVALUATE(MODEL zoo.there, STRUCT(0.5))": "line 1, column 44: name the fields of this STRUCT",
    "SELECT * FROM ML.WEIGHTS(MODEL zoo.there, TABLE zoo.animals)": "line 1, column 43: ML.WEIGHTS takes nothing more here; after its model goes STRUCT(… AS standardize)",
    "SELECT * FROM ML.ROC_CURVE(MODEL zoo.there)": "line 1, column 15: ML.ROC_CURVE is for models of two classes",
    "SELECT * FROM ML.CONFUSION_MATRIX(MODEL zoo.there)": "line 1, column 15: ML.CONFUSION_MATRIX is for classifiers; zoo.there is a LINEAR_REG",
    "SELECT * FROM ML.FEATURE_IMPORTANCE(MODEL zoo.there)": "line 1, column 15: ML.FEATURE_IMPORTANCE is for boosted trees",
    "SELECT * FROM ML.GLOBAL_EXPLAIN(MODEL zoo.there)": "line 1, column 15: zoo.there was trained without ENABLE_GLOBAL_EXPLAIN = TRUE",
    "SELECT * FROM ML.WEIGHTS(MODEL zoo.there": "line 1, column 25: nothing closes this bracket",
    "EXPORT MODEL zoo.there": "line 1, column 23: expected OPTIONS, found the end of the text",
    "EXPORT MODEL zoo.there OPTIONS(TRIAL_ID=1)": "line 1, column 32: EXPORT MODEL has no option TRIAL_ID here; supported is URI",
}


@pytest.mark.parametrize("sql", ERRORS)
def test_a_refusal_says_where_and_what_is_allowed(bqml: Executor, sql: str) -> None:
    bqml.run(CREATE.replace("zoo.m", "zoo.there").replace("MODEL", "CREATE MODEL", 1))
    with pytest.raises(BadInput) as caught:
        bqml.run(sql)

    assert str(caught.value).startswith(ERRORS[sql])
