"""Exports and imports: an exported model answers as the model does; exported rows can be read back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from questline_core.bqml import Executor
from questline_core.errors import BadInput

Rows = Callable[..., list[dict[str, Any]]]
Train = Callable[..., None]


@pytest.mark.parametrize("case", [("LINEAR_REG", "mass"), ("LOGISTIC_REG", "species"), ("DNN_CLASSIFIER", "heavy")])
def test_an_exported_saved_model_preprocesses_and_answers_like_the_model(
    case: tuple[str, str], rows: Rows, train: Train, bqml: Executor, tmp_path: Path
) -> None:
    model_type, label = case
    import tensorflow as tf

    train(model_type, label, "bill, flipper, island", "MAX_ITERATIONS=3")
    bqml.run(f"EXPORT MODEL zoo.m OPTIONS(URI = '{tmp_path}/out')")
    told = rows(
        "SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT bill, flipper, island FROM zoo.animals WHERE island IS NOT NULL))"
    )
    serve = tf.saved_model.load(f"{tmp_path}/out").signatures["serving_default"]
    answer = serve(
        bill=tf.constant([row["bill"] for row in told], tf.float64),
        flipper=tf.constant([np.nan if row["flipper"] is None else row["flipper"] for row in told], tf.float64),
        island=tf.constant([row["island"] for row in told]),
    )
    predicted = answer[f"predicted_{label}"].numpy()

    if label == "mass":
        assert np.allclose(predicted, [row["predicted_mass"] for row in told])
    else:
        decoded = [value.decode() if isinstance(value, bytes) else value for value in predicted]
        assert decoded == [row[f"predicted_{label}"] for row in told]
        chances = [[pair["prob"] for pair in row[f"predicted_{label}_probs"]] for row in told]
        assert np.allclose(answer[f"{label}_probs"].numpy(), chances)


def test_an_exported_booster_and_its_sidecar_are_all_that_a_prediction_needs(
    rows: Rows, train: Train, bqml: Executor, tmp_path: Path
) -> None:
    import xgboost as xgb

    train("BOOSTED_TREE_CLASSIFIER", "heavy", "bill, flipper, island")
    bqml.run(f"EXPORT MODEL zoo.m OPTIONS(URI = '{(tmp_path / 'out').as_uri()}')")
    told = rows("SELECT * FROM ML.PREDICT(MODEL zoo.m, (SELECT bill, flipper, island FROM zoo.animals))")
    sidecar = json.loads((tmp_path / "out/assets/model_metadata.json").read_text())
    islands = (tmp_path / "out/assets/island.txt").read_text().splitlines()
    booster = xgb.Booster(model_file=bytearray((tmp_path / "out/model.bst").read_bytes()))
    missing = sidecar["features"][1]["null_value"][0]
    data = [
        [
            row["bill"],
            missing if row["flipper"] is None else row["flipper"],
            islands.index(row["island"]) + 1 if row["island"] else 0,
        ]
        for row in told
    ]

    assert (sidecar["class_names"], sidecar["feature_names"]) == (["1", "0"], ["bill", "flipper", "island"])
    assert np.allclose(
        booster.predict(xgb.DMatrix(np.array(data, np.float32))),
        [row["predicted_heavy_probs"][0]["prob"] for row in told],
    )


def test_a_tensorflow_model_is_imported_by_its_serving_signature(rows: Rows, bqml: Executor, tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda a, b: {"total": a + b},
        input_signature=[tf.TensorSpec([None], tf.float32, "a"), tf.TensorSpec([None], tf.float32, "b")],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.serve)
    bqml.run(f"CREATE MODEL zoo.sum OPTIONS(MODEL_TYPE = 'TENSORFLOW', MODEL_PATH = '{tmp_path}/saved/*')")

    assert rows("SELECT * FROM ML.PREDICT(MODEL zoo.sum, (SELECT 1 AS a, 2.5 AS b, 'x' AS tag))") == [
        {"total": 3.5, "a": 1, "b": 2.5, "tag": "x"}
    ]
    with pytest.raises(BadInput, match=r"zoo\.sum is an imported TENSORFLOW model; it answers ML\.PREDICT only"):
        bqml.run("SELECT * FROM ML.EVALUATE(MODEL zoo.sum, TABLE zoo.animals)")
    with pytest.raises(BadInput, match="the model's input a is not a column of the rows; they have b"):
        bqml.run("SELECT * FROM ML.PREDICT(MODEL zoo.sum, (SELECT 2.5 AS b))")


def test_an_exported_model_with_transform_takes_the_transformed_columns(
    train: Train, bqml: Executor, tmp_path: Path
) -> None:
    import tensorflow as tf

    train("LINEAR_REG", "mass", "bill", transform="TRANSFORM(bill / 10 AS centimetres, mass)")
    bqml.run(f"EXPORT MODEL zoo.m OPTIONS(URI = '{tmp_path}/out')")
    signature = tf.saved_model.load(f"{tmp_path}/out").signatures["serving_default"]

    assert list(signature.structured_input_signature[1]) == ["centimetres"]


def test_an_array_feature_cannot_be_exported(train: Train, bqml: Executor, tmp_path: Path) -> None:
    train("LINEAR_REG", "mass", "[species, island] AS words")
    with pytest.raises(BadInput, match="line 1, column 28: the feature words is an ARRAY"):
        bqml.run(f"EXPORT MODEL zoo.m OPTIONS(URI = '{tmp_path}/out')")


def test_a_missing_saved_model_is_refused(bqml: Executor, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"line 1, column 53: there is no SavedModel in .*nothing"):
        bqml.run(f"CREATE MODEL zoo.x OPTIONS(MODEL_TYPE='TENSORFLOW', MODEL_PATH='{tmp_path}/nothing')")


def test_a_saved_model_that_cannot_be_read_is_refused_when_it_is_imported(bqml: Executor, tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_text("no model")
    with pytest.raises(BadInput, match=r"line 1, column 53: the SavedModel in .* cannot be read \(Cannot parse file"):
        bqml.run(f"CREATE MODEL zoo.x OPTIONS(MODEL_TYPE='TENSORFLOW', MODEL_PATH='{tmp_path}')")

    assert bqml.models.names() == []


def test_a_saved_model_without_a_serving_signature_is_refused_when_it_is_imported(
    bqml: Executor, tmp_path: Path
) -> None:
    import tensorflow as tf

    tf.saved_model.save(tf.Module(), str(tmp_path / "bare"))
    with pytest.raises(BadInput, match=r"line 1, column 53: .* has no signature serving_default; export it again"):
        bqml.run(f"CREATE MODEL zoo.x OPTIONS(MODEL_TYPE='TENSORFLOW', MODEL_PATH='{tmp_path}/bare')")


QUERY = "SELECT id, species, TIMESTAMP '2026-01-02 03:04:05.5+00' AS at, id > 0 AS later FROM zoo.animals WHERE id < 2 ORDER BY id DESC"


def test_rows_go_to_csv_in_their_order_with_header_and_delimiter(bqml: Executor, tmp_path: Path) -> None:
    bqml.run(
        f"EXPORT DATA OPTIONS(uri='{tmp_path}/out-*.csv', format='CSV', header=true, field_delimiter=';') AS {QUERY}"
    )

    assert (
        (tmp_path / "out-000000000000.csv").read_text()
        == "id;species;at;later\n1;Chinstrap;2026-01-02 03:04:05.5 UTC;true\n0;Adelie;2026-01-02 03:04:05.5 UTC;false\n"
    )


def test_json_holds_whole_numbers_as_text_and_nested_values(bqml: Executor, tmp_path: Path) -> None:
    bqml.run(
        f"EXPORT DATA OPTIONS(uri='{tmp_path}/*.json', format='JSON', compression='GZIP') AS SELECT 9007199254740993 AS n, [1, 2] AS a, STRUCT(0.5 AS p) AS s, CAST(NULL AS STRING) AS none"
    )

    line = gzip.decompress((tmp_path / "000000000000.json").read_bytes())
    assert json.loads(line) == {"n": "9007199254740993", "a": ["1", "2"], "s": {"p": 0.5}}


def test_parquet_keeps_types(bqml: Executor, tmp_path: Path) -> None:
    bqml.run(f"EXPORT DATA OPTIONS(uri='{tmp_path}/x*.parquet', format='PARQUET', compression='ZSTD') AS {QUERY}")

    assert pq.read_table(tmp_path / "x000000000000.parquet").equals(bqml.run(QUERY))


def test_files_that_are_there_are_replaced_only_when_that_is_wanted(bqml: Executor, tmp_path: Path) -> None:
    (tmp_path / "out-000000000007.csv").write_text("old")
    sql = f"EXPORT DATA OPTIONS(uri='{tmp_path}/out-*.csv', format='CSV') AS SELECT 1 AS one"
    with pytest.raises(
        BadInput, match=r"line 1, column 21: .*out-000000000007\.csv is there already; write OVERWRITE = TRUE"
    ):
        bqml.run(sql)
    bqml.run(sql.replace("format", "overwrite=true, format"))

    assert [path.name for path in tmp_path.glob("out-*")] == ["out-000000000000.csv"]


def test_large_results_go_to_several_files(bqml: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("questline_core.bqml.export_data._SHARD_BYTES", 2_000)
    bqml.run(f"EXPORT DATA OPTIONS(uri='{tmp_path}/s-*.csv', format='CSV') AS SELECT id FROM zoo.animals ORDER BY id")  # noqa: S608
    files = sorted(tmp_path.glob("s-*.csv"))

    assert len(files) == 3
    assert [int(line) for file in files for line in file.read_text().split()] == list(range(600))


REFUSED = {
    "(format='CSV')": "line 1, column 20: EXPORT DATA needs the option URI",
    "(uri='x-*', format='AVRO')": "line 1, column 32: 'AVRO' is no format here; supported are CSV, JSON, PARQUET",
    "(uri='x', format='CSV')": "line 1, column 21: the URI needs exactly one *",
    "(uri='x-*', format='JSON', header=true)": "the option HEADER goes with FORMAT 'CSV', not 'JSON'",
    "(uri='x-*', format='CSV', colour='red')": "line 1, column 46: EXPORT DATA has no option COLOUR here",
    "(uri='x-*', format='CSV', compression='SNAPPY')": "CSV is not compressed by 'SNAPPY'; supported are GZIP",
    "(uri='x-*', format='CSV', field_delimiter='ab')": "FIELD_DELIMITER is one character of ASCII, or 'tab'",
}  # fmt: skip


@pytest.mark.parametrize("options", REFUSED)
def test_a_wrong_export_is_refused_with_its_place(bqml: Executor, options: str) -> None:
    with pytest.raises(BadInput) as caught:
        bqml.run(f"EXPORT DATA OPTIONS{options} AS SELECT 1 AS one")

    assert REFUSED[options] in str(caught.value)
    assert str(caught.value).startswith("line 1, column ")
