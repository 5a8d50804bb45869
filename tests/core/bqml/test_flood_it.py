"""On real players the boosted trees reach what plain XGBoost reaches, with and without calendar features."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from questline_core.bqml import Executor

USERS = Path(__file__).parents[4] / "shared" / "data" / "flood_it_users" / "users.csv"
PLAYERS = """
    SELECT user_pseudo_id, * LIKE 'cnt_%', country_name, device_os, device_lang, churned,
           epoch_us(user_first_engagement::TIMESTAMPTZ) AS user_first_engagement,
           month(user_first_engagement::TIMESTAMPTZ) AS month, dayofyear(user_first_engagement::TIMESTAMPTZ) AS julianday,
           dayofweek(user_first_engagement::TIMESTAMPTZ) + 1 AS dayofweek
    FROM read_csv($users) WHERE bounced = 0
"""


@pytest.mark.skipif(not USERS.exists(), reason="needs the real players in ../shared/data/flood_it_users")
@pytest.mark.parametrize(
    ("left_out", "at_least"), [("", 0.785), ("user_first_engagement, month, julianday, dayofweek, ", 0.74)]
)
@pytest.mark.parametrize("options", ["", ", LEARN_RATE = 0.1, EARLY_STOP = FALSE"])
def test_boosted_trees_rank_real_players(left_out: str, at_least: float, options: str, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA game; SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE game.players AS {PLAYERS}", {"users": str(USERS)})
        bqml = Executor(connection, tmp_path)
        bqml.run(f"""
            CREATE MODEL game.churn
            OPTIONS(MODEL_TYPE = 'BOOSTED_TREE_CLASSIFIER', INPUT_LABEL_COLS = ['churned'], DATA_SPLIT_METHOD = 'NO_SPLIT'{options}) AS
            SELECT * EXCEPT({left_out}user_pseudo_id) FROM game.players
            WHERE ABS(MOD(FARM_FINGERPRINT(user_pseudo_id), 10)) <= 7
        """)  # noqa: S608
        judged = bqml.run("""
            SELECT roc_auc FROM ML.EVALUATE(MODEL game.churn,
              (SELECT * FROM game.players WHERE ABS(MOD(FARM_FINGERPRINT(user_pseudo_id), 10)) = 8))
        """)

    assert judged.column("roc_auc")[0].as_py() >= at_least
