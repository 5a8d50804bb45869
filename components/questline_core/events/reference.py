"""Write the reference page of the event contract: every column with its type, mode and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from questline_core.events import checks
from questline_core.events.columns import Column, columns
from questline_core.events.schema import TABLES, mode

_INTRODUCTION = f"""\
# The event contract

<!-- Made by `questline events schema --format markdown` from the .proto files: change those, then `make generate`. -->

One event of a game client is one message `Event` of `components/questline_core/pb/telemetry.proto`. Its columns are
those of the GA4 / Firebase export to BigQuery behind an envelope of Questline's own, so an export can be imported as it
is, and a query written for an export runs here. The BigQuery schema (`questline events schema --format bigquery`), the
embedded table (`--format arrow`), the row encoder and this page are derived from that file.

- **Null is not zero.** A field that was not sent is NULL, one that was sent as 0 or "" is 0 or "". A REPEATED column
  without entries is an empty list.
- **Numbers are exact.** INTEGER holds 64 bits and never passes through a floating-point number. NaN and infinities in a
  FLOAT are stored as they came, so a query that adds up guards itself with `IS_NAN` and `IS_INF`.
- **One event id is one row.** A second event with the same `event_id` is answered as a duplicate.
- **REQUIRED** columns are given by the client (`event_id`, `event_timestamp`, `event_name`, `user_pseudo_id`) or filled
  in by the gateway (`title`, `received_time`, and `event_date` as the UTC day of `event_timestamp`).

## What is rejected

A rejected event is answered with reason, field and a sentence, and kept with its payload in `telemetry.rejects`.

| reason | rule |
|---|---|
| `missing` | no `event_id`, `event_name`, `user_pseudo_id` or `event_timestamp`; a param or property without a key |
| `too_long` | more characters than `event_id` {checks.MAX_ID}, `event_name` {checks.MAX_NAME}, \
`user_pseudo_id` {checks.MAX_PLAYER}, `title` {checks.MAX_TITLE}, a key {checks.MAX_KEY}; \
any text of more than {checks.MAX_TEXT_BYTES // 1024} KiB |
| `too_many` | more than {checks.MAX_PARTS} params, user properties, items, or params of an item |
| `too_large` | an event of more than {checks.MAX_EVENT_BYTES // 1024**2} MiB |
| `out_of_range` | `event_timestamp` outside the years 2000 to 2099, `client_time` outside the years 1 to 9999 |
| `malformed` | control characters in `event_id` or `title`; an `event_date` that is no day YYYYMMDD |
"""


def reference_page() -> str:
    """Write the page as Markdown, with one table of columns for each table of the dataset `telemetry`."""
    return _INTRODUCTION + "".join(
        f"\n## telemetry.{name}\n\n| column | type | mode | meaning |\n|---|---|---|---|\n{_rows(columns(message))}"
        for name, message in TABLES.items()
    )


def _rows(table: Sequence[Column]) -> str:
    return "".join(
        f"| `{path}` | {column.kind} | {mode(column)} | {column.description} |\n" for path, column in walk(table)
    )


def walk(table: Sequence[Column], within: str = "") -> Iterator[tuple[str, Column]]:
    """Yield every column and every field in it with its path, such as `event_params.value.int_value`."""
    for column in table:
        yield f"{within}{column.name}", column
        yield from walk(column.fields, f"{within}{column.name}.")
