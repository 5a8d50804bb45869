"""How much CPU BigQuery ML statements take beside plain scikit-learn and XGBoost on the same rows.

Prints the ratio for training, for prediction, and for the prediction of a million players, each the least of some turns,
both sides in turn in one process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import duckdb
import numpy as np
import xgboost as xgb
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from questline_core.bqml import Executor

ROWS, TURNS = 200_000, 5
MANY, FEW_TURNS = 1_000_000, 2
GENERATED = f"""
    CREATE TABLE game.many AS SELECT
        {", ".join(f"hash(i * {k} + 1) % {50 * k} AS n{k}" for k in range(1, 11))},
        'country-' || hash(i * 31) % 60 AS country, ['ANDROID', 'IOS'][(hash(i * 37) % 2 + 1)::INT] AS os,
        CASE WHEN hash(i + 1) % 50 + hash(i * 41) % 60 > 60 THEN 1 ELSE 0 END AS churned
    FROM range({MANY}) AS r(i);
    CREATE TABLE game.players AS FROM game.many LIMIT {ROWS}
"""  # noqa: S608 - numbers of this file
NUMBERS = [f"n{k}" for k in range(1, 11)]
TEXTS = ["country", "os"]
OPTIONS = "INPUT_LABEL_COLS = ['churned'], DATA_SPLIT_METHOD = 'NO_SPLIT', EARLY_STOP = FALSE, MAX_ITERATIONS = 50"


def cpu_s(step: Callable[[], object]) -> float:
    """Measure the CPU seconds of this process, all threads."""
    began = time.process_time()
    step()
    return time.process_time() - began


def compare(what: str, ours: Callable[[], object], plain: Callable[[], object], *, turns: int = TURNS) -> None:
    """Run both in turn and print the ratio of their least times."""
    took = [(cpu_s(ours), cpu_s(plain)) for _ in range(turns)]
    one, other = (min(times) for times in zip(*took, strict=True))
    print(f"{what}: {one / other:.2f} times ({one:.2f} s against {other:.2f} s of CPU)")


def main() -> None:
    """Compare on generated rows."""
    with duckdb.connect() as connection, tempfile.TemporaryDirectory() as folder:
        connection.execute("CREATE SCHEMA game")
        connection.execute(GENERATED)
        bqml = Executor(connection, folder)
        print(f"{ROWS} generated rows, 10 numbers, 2 categories, 50 iterations")
        _trees(bqml, connection)
        _logistic(bqml, connection)


def _trees(bqml: Executor, connection: duckdb.DuckDBPyConnection) -> None:
    settings = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "eval_metric": "logloss"}
    kept = {}

    def plain_train() -> None:
        rows = connection.sql("SELECT * FROM game.players").df()
        kept["encoder"] = OrdinalEncoder().fit(rows[TEXTS])
        data = np.column_stack([rows[NUMBERS], kept["encoder"].transform(rows[TEXTS])]).astype(np.float32)
        matrix = xgb.DMatrix(data, label=rows["churned"], nthread=1)
        kept["booster"] = xgb.train(settings, matrix, 50, evals=[(matrix, "train")], verbose_eval=False)

    def plain_predict(table: str = "players") -> None:
        rows = connection.sql(f"SELECT * FROM game.{table}").df()  # noqa: S608 - one of two names
        data = np.column_stack([rows[NUMBERS], kept["encoder"].transform(rows[TEXTS])]).astype(np.float32)
        rows["p"] = kept["booster"].predict(xgb.DMatrix(data, nthread=1))

    create = f"CREATE OR REPLACE MODEL game.t OPTIONS(MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', {OPTIONS}) AS SELECT * FROM game.players"  # noqa: S608
    compare("boosted trees, training", lambda: bqml.run(create), plain_train)
    predict = "SELECT * FROM ML.PREDICT(MODEL game.t, TABLE game.players)"
    compare("boosted trees, prediction", lambda: bqml.run(predict), plain_predict)
    many = "SELECT * FROM ML.PREDICT(MODEL game.t, TABLE game.many)"
    compare(f"the same of {MANY:,} rows", lambda: bqml.run(many), lambda: plain_predict("many"), turns=FEW_TURNS)


def _logistic(bqml: Executor, connection: duckdb.DuckDBPyConnection) -> None:
    encode = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), TEXTS))
    model = make_pipeline(encode, LogisticRegression(C=np.inf, max_iter=50, tol=1e-10))

    def plain_train() -> None:
        rows = connection.sql("SELECT * FROM game.players").df()
        model.fit(rows[NUMBERS + TEXTS], rows["churned"])

    def plain_predict() -> None:
        rows = connection.sql("SELECT * FROM game.players").df()
        rows["p"] = model.predict_proba(rows[NUMBERS + TEXTS])[:, 1]

    create = (
        f"CREATE OR REPLACE MODEL game.l OPTIONS(MODEL_TYPE = 'LOGISTIC_REG', {OPTIONS}) AS SELECT * FROM game.players"  # noqa: S608
    )
    compare("logistic regression, training", lambda: bqml.run(create), plain_train)
    predict = "SELECT * FROM ML.PREDICT(MODEL game.l, TABLE game.players)"
    compare("logistic regression, prediction", lambda: bqml.run(predict), plain_predict)


if __name__ == "__main__":
    main()
