from __future__ import annotations

from itertools import pairwise

import pytest

from questline_core.errors import BadInput
from questline_ingest.load.plan import MAX_CALLS, Plan


def test_a_constant_rate_has_equal_steps() -> None:
    due = list(Plan(calls_per_s=50, duration_s=2).due_s())

    assert due == pytest.approx([n / 50 for n in range(100)])


@pytest.mark.parametrize(("first", "last"), [(10, 100), (100, 10), (1e-9, 100)])
def test_a_ramp_has_the_rate_of_each_moment(first: float, last: float) -> None:
    plan = Plan(calls_per_s=first, ramp_to_per_s=last, duration_s=10)
    due = list(plan.due_s())

    assert len(due) == plan.calls == int((first + last) / 2 * 10)
    assert due[0] == 0
    assert all(sooner < later for sooner, later in pairwise(due))
    assert due[-1] < 10
    for second in range(10):
        wanted = first + (last - first) * (second + 0.5) / 10
        assert sum(second <= at < second + 1 for at in due) == pytest.approx(wanted, abs=1.01)


def test_a_run_is_bounded_in_calls() -> None:
    assert len(list(Plan(calls_per_s=1000, duration_s=3600, max_calls=7).due_s())) == 7


def test_processes_share_rate_and_calls() -> None:
    share = Plan(calls_per_s=90, ramp_to_per_s=30, duration_s=2, max_calls=100).share(3)

    assert (share.calls_per_s, share.ramp_to_per_s, share.duration_s, share.max_calls) == (30, 10, 2, 33)
    assert share.calls == 33


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"calls_per_s": 0}, "above 0 calls a second"),
        ({"calls_per_s": float("nan")}, "above 0 calls a second"),
        ({"ramp_to_per_s": 0}, "above 0 calls a second"),
        ({"duration_s": 0}, "at most 3600 s"),
        ({"duration_s": 3601}, "at most 3600 s"),
        ({"max_calls": 0}, "1 to 2,000,000 calls"),
        ({"max_calls": MAX_CALLS + 1}, "1 to 2,000,000 calls"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(wrong: dict[str, float], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        Plan(**{"calls_per_s": 10, "duration_s": 1} | wrong)  # type: ignore[arg-type]
