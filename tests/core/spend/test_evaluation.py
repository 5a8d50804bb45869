"""The spend model judged: figures, pictures and the card of a model that learned a known rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from questline_core.errors import BadInput
from questline_core.models.store import publish
from questline_core.spend.evaluation import Evaluation, evaluate
from questline_core.spend.gate import judge

pytestmark = pytest.mark.timeout(600)  # the fixtures train for half a minute of CPU


def test_it_beats_the_constant_and_ships(evaluation: Evaluation) -> None:
    verdict = judge(evaluation, None)

    assert verdict.ship, verdict.reasons
    assert evaluation.roc_auc.low > 0.7
    assert evaluation.model.rmse < evaluation.constant.rmse
    assert evaluation.constant.roc_auc == 0.5


def test_a_probability_is_what_it_says(evaluation: Evaluation) -> None:
    for one in evaluation.calibration:
        luck = 3 * np.sqrt(one.predicted * (1 - one.predicted) / one.rows)
        assert one.actual == pytest.approx(one.predicted, abs=luck)


def test_the_bounds_hold_what_they_promise(evaluation: Evaluation) -> None:
    assert evaluation.interval.coverage_of_spenders == pytest.approx(0.8, abs=0.05)
    assert evaluation.interval.coverage > 0.9


def test_a_published_version_is_judged_like_the_training(
    model: Path, examples: Path, report: Path, evaluation: Evaluation, tmp_path: Path
) -> None:
    version = publish(model, report / "metrics.json", store=str(tmp_path), name="spend", lineage={"data_version": "d7"})

    assert evaluate(Path(version.uri), examples, tmp_path / "report") == evaluation
    assert version.metadata["lineage"]["seed"] == 3


def test_the_report_is_one_page_that_asks_the_network_for_nothing(evaluation: Evaluation, report: Path) -> None:
    page = (report / "report.html").read_text()
    own = page.replace(page[page.index("<script>") : page.index("</script>")], "")

    assert Evaluation.from_json((report / "metrics.json").read_text()) == evaluation
    assert page.count("plotly.js v") == 1
    assert "src=" not in own
    assert "<link" not in own
    assert "$" not in own[: own.index("<script")]
    for fact in (
        "d7",
        f"{evaluation.model.log_loss:.4f}",
        f"{evaluation.roc_auc.value:.3f}",
        "Is a probability what it",
        "trees on our features",
        "players of the training",
        "What the model looks at",
        "Learning",
        "Would more examples help?",
    ):
        assert fact in own


def test_a_folder_without_a_model_is_told(tmp_path: Path, examples: Path) -> None:
    with pytest.raises(BadInput, match="holds no model that can be asked"):
        evaluate(tmp_path, examples, tmp_path / "report")


def test_the_card_tells_what_the_model_is_for_and_how_good_it_is(evaluation: Evaluation, report: Path) -> None:
    card = (report / "model_card.md").read_text()

    assert "$" not in card
    for fact in ("next 24 hours", "data version d7", f"{evaluation.model.log_loss:.4f}", "trees on our features"):
        assert fact in card


def test_what_was_made_to_matter_is_found_to_matter(evaluation: Evaluation) -> None:
    assert list(evaluation.importance)[:2] == ["spends", "fails_in_row"]
