"""A page holds all that it needs, and no more."""

from __future__ import annotations

import json
import re
from typing import Any

import plotly.graph_objects as go
import pytest
from scipy.stats import binomtest

from questline_core.metrics import Bin
from questline_core.pages import calibration, figure, fill, guide, page, table, tiles


def test_only_a_page_with_a_figure_holds_the_script_that_draws_it() -> None:
    drawn = page("Two points", figure("Two", "How to read it.", [guide([0, 1], [1, 2], "points")], axes=("x", "y")))

    assert drawn.count("plotly.js v") == 1
    assert "<title>Two points</title>" in drawn
    assert len(page("Words", "<p>Only words, for $5.</p>")) < 5_000


def test_a_table_has_a_head_if_it_is_told_one() -> None:
    assert table(("a", "b"), [("1", "2")], kind="told") == (
        '<div class="table told"><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></div>'
    )
    assert "<th>" not in table((), [("1", "2")])
    assert tiles([("7", "days")]).count('<div class="tile"><b>7</b><span>days</span></div>') == 1


def test_a_place_that_is_not_filled_is_an_error() -> None:
    with pytest.raises(KeyError, match="verdict"):
        fill("validation/page.html", tone="good")


def test_calibration_is_drawn_with_what_chance_may_do_up_to_the_highest_share() -> None:
    tenths = (Bin(rows=96, predicted=0.1, actual=0.0), Bin(rows=96, predicted=0.4, actual=0.5))

    line, exact = calibration({"v1": tenths})

    assert (line.name, list(line.y)) == ("v1", [0.0, 0.5])
    intervals = [binomtest(hits, 96).proportion_ci(method="wilson") for hits in (0, 48)]
    assert list(line.error_y.array) == pytest.approx([intervals[0].high, intervals[1].high - 0.5], rel=1e-3)
    assert list(line.error_y.arrayminus) == pytest.approx([0.0, 0.5 - intervals[1].low], rel=1e-3, abs=1e-12)
    assert list(exact.x) == list(exact.y) == [0, 0.5]


def test_a_figure_takes_what_differs_from_the_others() -> None:
    html = figure(
        "Bars", "", [go.Bar(x=[1], y=["a"])], axes=("size", ""), wide=True, height=777, xaxis_rangemode="normal"
    )

    assert html.startswith("<figure class=wide><h3>Bars</h3>")
    assert layout_of(html)["height"] == 777
    assert layout_of(html)["xaxis"]["rangemode"] == "normal"
    assert layout_of(html)["yaxis"]["rangemode"] == "tozero"


def layout_of(html: str) -> dict[str, Any]:
    """Read the layout of a figure, the second object that the script is called with."""
    start = re.search(r'Plotly\.newPlot\(\s*"[^"]*",\s*', html)
    assert start
    _, end = json.JSONDecoder().raw_decode(html, start.end())
    layout, _ = json.JSONDecoder().raw_decode(html, html.index("{", end))
    assert isinstance(layout, dict)
    return layout
