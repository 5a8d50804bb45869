"""A record cannot be changed after it was signed, and completes what broke off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_core.privacy.key import PrivacyKey
from questline_core.privacy.record import Place, Record, Records

BEGAN = Record(player_key="ab" * 32, began="2026-01-02T03:04:05.678+00:00")


def test_what_was_written_is_read(tmp_path: Path, key: PrivacyKey) -> None:
    records = Records(tmp_path, key)
    record = BEGAN.after(Place(place="broker", removed=3, left=0))

    assert records.read(records.write(record)) == record


@pytest.mark.parametrize(
    "change", [('"removed": 3', '"removed": 4'), ('"left": 0', '"left": 1'), ("broker", "brokers")]
)
def test_a_changed_record_is_refused(tmp_path: Path, key: PrivacyKey, change: tuple[str, str]) -> None:
    records = Records(tmp_path, key)
    path = records.write(BEGAN.after(Place(place="broker", removed=3, left=0)))
    path.write_text(path.read_text().replace(*change))

    with pytest.raises(BadInput, match="signature"):
        records.read(path)


def test_a_record_signed_with_another_key_is_refused(tmp_path: Path, key: PrivacyKey) -> None:
    path = Records(tmp_path, PrivacyKey(b"x" * 32)).write(BEGAN)

    with pytest.raises(BadInput, match="signature"):
        Records(tmp_path, key).read(path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"signature": 1}'])
def test_what_is_no_record_is_refused(tmp_path: Path, key: PrivacyKey, content: str) -> None:
    (tmp_path / "x.json").write_text(content)

    with pytest.raises(BadInput, match="no record"):
        Records(tmp_path, key).read(tmp_path / "x.json")


def test_only_a_record_that_broke_off_is_taken_up(tmp_path: Path, key: PrivacyKey) -> None:
    records = Records(tmp_path, key)
    records.write(replace(BEGAN, ended="2026-01-02T03:05:00.000+00:00"))
    assert records.unfinished(BEGAN.player_key) is None

    begun = replace(BEGAN, began="2026-02-02T03:04:05.678+00:00")
    records.write(begun)
    assert records.unfinished(BEGAN.player_key) == begun
    assert records.unfinished("cd" * 32) is None


def test_a_second_attempt_adds_to_what_the_first_removed() -> None:
    record = BEGAN.after(Place(place="broker", removed=3, left=2)).after(Place(place="broker", removed=2, left=0))

    assert record.places == (Place(place="broker", removed=5, left=0),)
