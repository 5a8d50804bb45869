"""Any file is read line by line, and what is no JSON object says so."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_ingest.imports import lines as module
from questline_ingest.imports.lines import lines, opened, parse
from questline_ingest.imports.values import Unreadable


def read(data: bytes) -> list[tuple[int, bytes]]:
    return [(line.number, line.data) for line in lines(io.BytesIO(data))]


def test_blank_lines_count_but_are_not_read() -> None:
    assert read(b'{"a":1}\n\n  \r\n{"b":2}') == [(1, b'{"a":1}'), (4, b'{"b":2}')]


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_a_line() -> None:
    assert read(b'\xef\xbb\xbf{"a":1}\r\n{"b":2}\r\n') == [(1, b'{"a":1}'), (2, b'{"b":2}')]


def test_a_line_ends_where_the_next_begins() -> None:
    ends = [line.end for line in lines(io.BytesIO(b"ab\ncde\nf"))]

    assert ends == [3, 7, 8]


def test_a_line_without_end_is_cut_and_the_next_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)

    assert read(b"x" * 35 + b"\n{}\n") == [(1, b"x" * 10), (2, b"{}")]
    with pytest.raises(Unreadable, match="the line is longer than"):
        parse(b"x" * 10)


def test_a_line_of_the_longest_length_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)

    assert read(b'{"a":123}\n{}\n') == [(1, b'{"a":123}'), (2, b"{}")]
    assert parse(b'{"a":123}') == {"a": 123}


@pytest.mark.parametrize(("name", "says"), [("shop.csv", "is CSV"), ("export.ndjson.GZ", "is compressed")])
def test_a_file_that_is_no_ndjson_by_its_name_is_refused_before_its_first_line(
    tmp_path: Path, name: str, says: str
) -> None:
    (tmp_path / name).write_bytes(b"a,b")

    with pytest.raises(BadInput, match=says), opened(tmp_path / name):
        pass


def test_whole_numbers_of_any_length_stay_whole() -> None:
    assert parse(b'{"n": 123456789012345678901234567890}') == {"n": 123456789012345678901234567890}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"game,level", "the line is not JSON: Expecting value at character 1"),
        (b'{"a": 1', "the line is not JSON"),
        (b'{"a": 1} {"b": 2}', "the line is not JSON: Extra data at character 10"),
        (b'["a"]', "the line is JSON, but no object"),
        (b"null", "no object"),
        (b'{"a": NaN}', 'NaN must be written as text, "NaN"'),
        (b'{"a": "\xff"}', "the line is not UTF-8 (byte 7)"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": ' + b"9" * 5000 + b"}", "a number too long"),
    ],
)
def test_what_is_no_json_object_is_unreadable(data: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as raised:
        parse(data)

    assert says in str(raised.value)
