"""What is derived of players follows their rows without holding them up."""

from __future__ import annotations

import threading
from collections.abc import Collection

from structlog.testing import capture_logs

from questline_beam.following import Following, Rest


class Refresh:
    """Notes what it is asked for, and fails when told."""

    def __init__(self) -> None:
        self.asked: list[set[str] | None] = []
        self.fails, self.gate, self.called = False, threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, players: Collection[str] | None) -> int:
        self.asked.append(None if players is None else set(players))
        self.called.set()
        self.gate.wait()
        if self.fails:
            raise OSError("no table yet")
        return 0


def following(refresh: Refresh) -> Following:
    return Following("features", refresh, rest=Rest(times=4))


def test_all_players_are_refreshed_first_and_those_of_new_rows_then() -> None:
    refresh = Refresh()
    with following(refresh) as features:
        refresh.called.wait()
        features.note(["ann"])
        features.note(["bob", "ann"])
        features.finish()

    assert refresh.asked[0] is None
    assert set().union(*(players or () for players in refresh.asked[1:])) == {"ann", "bob"}


def test_rows_do_not_wait_for_a_refresh() -> None:
    refresh = Refresh()
    refresh.gate.clear()
    with following(refresh) as features:
        refresh.called.wait()
        features.note(["ann"])  # returns although a refresh is under way
        features.note(["bob"])
        refresh.gate.set()
        features.finish()

    assert refresh.asked == [None, {"ann", "bob"}]


def test_a_refresh_that_failed_is_logged_and_tried_again() -> None:
    refresh = Refresh()
    refresh.fails = True
    with capture_logs() as logs, following(refresh) as features:
        refresh.called.wait()
        features.finish()

    assert refresh.asked == [None, None]
    assert logs[0]["event"] == "players not refreshed"
    assert (logs[0]["of"], logs[0]["reason"]) == ("features", "OSError: no table yet")


def test_nothing_is_refreshed_when_nothing_is_new() -> None:
    refresh = Refresh()
    with following(refresh) as features:
        refresh.called.wait()
        features.finish()

    assert refresh.asked == [None]
