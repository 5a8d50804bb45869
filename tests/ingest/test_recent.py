from __future__ import annotations

import asyncio

from questline_ingest.recent import Known, RecentIds, Window, key_of


async def test_the_window_keeps_the_newest_ids() -> None:
    recent = RecentIds(3, ["a", "b", "c", "b", "d"])

    states = {name: recent.claim(key_of(name), asyncio.Future()) for name in "abcd"}

    assert states == {"a": Known.NEW, "b": Known.DURABLE, "c": Known.DURABLE, "d": Known.DURABLE}


def test_a_window_never_holds_more_than_its_limit() -> None:
    window = Window(3)
    for number in range(100):
        window.add(key_of(str(number % 50)))

    assert len(window) == 3
    assert key_of("49") in window
    assert key_of("46") not in window


async def test_a_claimed_id_is_new_to_one_caller_only() -> None:
    recent, first, second = RecentIds(10), asyncio.Future[bool](), asyncio.Future[bool]()

    assert recent.claim(key_of("a"), first) is Known.NEW
    assert recent.claim(key_of("a"), second) is first
    assert recent.claim(key_of("a"), first) is first


async def test_a_claim_that_ends_well_makes_the_id_durable_and_tells_who_waits() -> None:
    recent, ticket = RecentIds(10), asyncio.Future[bool]()
    recent.claim(key_of("a"), ticket)

    recent.settle([key_of("a")], ticket, durable=True)

    assert ticket.result() is True
    assert recent.claim(key_of("a"), asyncio.Future()) is Known.DURABLE


async def test_a_claim_that_fails_frees_the_id() -> None:
    recent, ticket = RecentIds(10), asyncio.Future[bool]()
    recent.claim(key_of("a"), ticket)

    recent.settle([key_of("a")], ticket, durable=False)

    assert ticket.result() is False
    assert recent.claim(key_of("a"), asyncio.Future()) is Known.NEW
