from __future__ import annotations

import subprocess
import sys
from datetime import date
from itertools import islice

import pytest

from questline_core.pb.telemetry_pb2 import Event, Param, ParamValue
from questline_ingest.simulate import World, arrivals
from questline_ingest.simulate.languages import CODES
from questline_ingest.simulate.wire import before_digits, moment, varint


@pytest.mark.parametrize("number", [0, 1, 127, 128, 16_383, 16_384, 2**35, 2**63 - 1, -1, -(2**63)])
def test_a_number_is_encoded_as_protobuf_does(number: int) -> None:
    wanted = Event(event_timestamp=number).SerializeToString()

    assert b"\x58" + varint(number) == wanted


@pytest.mark.parametrize("micros", [946_684_800_000_000, 1_772_524_799_999_999, 4_102_444_799_999_999])
def test_a_time_is_encoded_as_protobuf_does(micros: int) -> None:
    assert b"\x58" + moment(micros) == Event(event_timestamp=micros).SerializeToString()


@pytest.mark.parametrize("number", [5, -5, 2**62, -(2**62)])
def test_digits_behind_what_stands_before_them_are_a_param(number: int) -> None:
    digits = varint(number)
    wanted = Event(event_params=[Param(key="id", value=ParamValue(int_value=number))])

    assert Event.FromString(before_digits("id", len(digits)) + digits) == wanted


def test_the_bytes_of_every_event_are_those_that_protobuf_writes() -> None:
    world = World(start=date(2026, 3, 2), players=60, days=6, seed=8)
    for _, data in arrivals(world):
        assert Event.FromString(data).SerializeToString(deterministic=True) == data


def test_another_process_with_another_hash_seed_writes_the_same_bytes() -> None:
    code = """
from datetime import date
from hashlib import sha256
from itertools import islice
from questline_ingest.simulate import World, arrivals
world = World(start=date(2026, 3, 2), players=80, days=9, seed=2, late_rate=0.1, invalid_rate=0.01)
print(sha256(b"".join(data for _, data in islice(arrivals(world), 3_000))).hexdigest())
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(told) == 1


def test_there_are_as_many_language_codes_as_published_odd_ones_among_them() -> None:
    assert len(set(CODES)) == 222
    assert {"en-us", "zh-hans-cn", "en-001"} <= set(CODES)


def test_another_seed_writes_other_bytes() -> None:
    one, other = (World(start=date(2026, 3, 2), players=5, days=2, seed=seed) for seed in (1, 2))

    assert list(islice(arrivals(one), 5)) != list(islice(arrivals(other), 5))
