"""The ledger tells what served when, and its rows never change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from questline_core.ledger import plugin
from questline_core.ledger.commands import revisions
from questline_core.ledger.table import Ledger
from questline_core.models.port import RevisionStatus, ServiceStatus
from questline_core.warehouse.port import open_warehouse

NIGHT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_warehouse(f"duckdb:{tmp_path / 'warehouse'}")) as warehouse:
        yield Ledger(warehouse, str(tmp_path / "models"))


def _status(**shares: int) -> ServiceStatus:
    """The first revision is the stable one."""
    first = next(iter(shares))
    revisions = tuple(
        RevisionStatus(revision=name, stable=name == first, percent=share, ready=True) for name, share in shares.items()
    )
    return ServiceStatus(
        name="spend",
        ready=True,
        revision=first,
        wanted=first,
        message="",
        rest_url="",
        grpc_address="",
        revisions=revisions,
    )


def _published(store: Path, revision: str, loss: float) -> None:
    folder = store / "spend" / revision
    folder.mkdir(parents=True)
    told = {
        "name": "spend",
        "version": revision,
        "lineage": {"data_version": f"data-of-{revision}", "code_version": "c"},
    }
    (folder / "model.json").write_text(json.dumps(told))
    (folder / "metrics.json").write_text(json.dumps({"loss": loss}))


def _served(ledger: Ledger, moment: datetime) -> list[tuple[str, bool, int]]:
    return [(row["revision"], row["stable"], row["share_percent"]) for row in ledger.at("spend", moment)]


def test_a_moment_is_answered_by_the_newest_move_before_it(ledger: Ledger) -> None:
    ledger.record("deploy", _status(v1=100), at=NIGHT)
    ledger.record("shift", _status(v1=80, v2=20), at=NIGHT + timedelta(minutes=10))
    ledger.record("promote", _status(v2=100, v1=0), at=NIGHT + timedelta(minutes=20))

    assert _served(ledger, NIGHT - timedelta(seconds=1)) == []
    assert _served(ledger, NIGHT + timedelta(minutes=9)) == [("v1", True, 100)]
    assert _served(ledger, NIGHT + timedelta(minutes=13)) == [("v1", True, 80), ("v2", False, 20)]
    assert _served(ledger, NIGHT + timedelta(days=9)) == [("v2", True, 100), ("v1", False, 0)]
    assert ledger.stable_before("spend", "v2") == "v1"
    assert ledger.at("churn", NIGHT + timedelta(days=9)) == []


def test_a_rollback_that_is_asked_for_twice_does_not_bring_back_what_was_rolled_back(ledger: Ledger) -> None:
    moves = (("deploy", "v1"), ("promote", "v2"), ("promote", "v3"), ("rollback", "v2"))
    for minute, (move, stable) in enumerate(moves):
        ledger.record(move, _status(**{stable: 100}), at=NIGHT + timedelta(minutes=minute))
    assert ledger.stable_before("spend", "v2") == "v1"

    ledger.record("rollback", _status(v1=100), at=NIGHT + timedelta(minutes=8))
    assert ledger.stable_before("spend", "v1") == ""

    ledger.record("promote", _status(v3=100), at=NIGHT + timedelta(minutes=9))
    assert ledger.stable_before("spend", "v3") == "v1"


def test_an_entry_names_the_models_origin(ledger: Ledger, tmp_path: Path) -> None:
    _published(tmp_path / "models", "v1", 0.5)

    (known, unknown) = ledger.record("deploy", _status(v1=100, gone=0))

    assert (known["data_version"], known["code_version"]) == ("data-of-v1", "c")
    assert json.loads(known["metrics"]) == {"loss": 0.5}
    assert len(known["model_digest"]) == 64
    assert unknown.get("model_digest") is None
    assert [row["move"] for row in ledger.history("spend")] == ["deploy", "deploy"]


def test_the_command_tells_what_served_at_a_time(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record("deploy", _status(v1=100), at=NIGHT)
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))

    told = CliRunner().invoke(revisions, ["at", "2026-11-20 02:13"])
    early = CliRunner().invoke(revisions, ["at", "2026-11-19 02:13"])
    nonsense = CliRunner().invoke(revisions, ["at", "yesterday"])

    assert "2026-11-20 02:00:00  deploy    v1  stable  100 %" in told.output
    assert "the ledger knows of no revision of spend" in early.output
    assert "is no time" in str(nonsense.exception)


def test_a_history_without_moves_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))

    assert CliRunner().invoke(revisions, ["history"]).output == "the ledger knows of no move of spend\n"


def test_a_diff_tells_data_content_and_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for revision, loss in (("v1", 0.5), ("v2", 0.25)):
        _published(tmp_path / "models", revision, loss)
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))

    told = CliRunner().invoke(revisions, ["diff", "v1", "v2"]).output.splitlines()

    assert "data_version: data-of-v1 → data-of-v2" in told
    assert "loss: 0.5 → 0.25" in told
    assert not any(line.startswith("code_version") for line in told)


def test_the_host_can_be_named_for_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTLINE_HOME", str(tmp_path))

    told = CliRunner().invoke(revisions, ["--host", f"folder:{tmp_path / 'other'}", "list"])

    assert "lies in" in str(told.exception)
    assert str(tmp_path / "other") in str(told.exception)


def test_kubectls_plugin_explains_itself_where_there_is_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl-questline", "--help"])
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))

    with pytest.raises(SystemExit):
        plugin.main()

    assert "kubectl questline" in capsys.readouterr().out
