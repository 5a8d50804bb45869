"""What each reason means, what usually causes it, and a rule that mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One reason, for the person who mends it."""

    means: str
    usual_cause: str
    rule: str
    """An entry of a fix file (docs/rejects.md); empty when only the payload itself can be edited."""


REASONS: Mapping[str, Explanation] = {
    "missing": Explanation(
        means="a field without which an event cannot be stored is not there, or is empty",
        usual_cause="a client that builds events by hand; a param without a key",
        rule="- {reason: missing, field: event_name, set: {event_name: unknown}}\n"
        '- {reason: missing, field: "event_params[*].key", drop: ["@entry"]}',
    ),
    "too_long": Explanation(
        means="a text is longer than the contract lets it be",
        usual_cause="a stack trace or a chat message in a param; a name that is made of data",
        rule='- {reason: too_long, clip: {"@field": 128}}',
    ),
    "out_of_range": Explanation(
        means="a time lies outside the years that are stored",
        usual_cause="seconds, milliseconds or nanoseconds were sent where microseconds belong",
        rule="- {reason: out_of_range, field: event_timestamp, multiply: {event_timestamp: 1000000}}",
    ),
    "malformed": Explanation(
        means="the bytes are no event, an id holds control characters, or a day is no day",
        usual_cause="a client with other stubs; a line break in an id; a date with dashes",
        rule="- {reason: malformed, field: event_date, drop: [event_date]}",
    ),
    "too_large": Explanation(
        means="the whole event takes more than 1 MiB",
        usual_cause="a save game or a screenshot in a param",
        rule='- {reason: too_large, clip: {"event_params[*].value.string_value": 1000}}',
    ),
    "too_many": Explanation(
        means="a list has more than 256 entries",
        usual_cause="an inventory that is sent as items or params",
        rule='- {reason: too_many, clip: {"@field": 256}}',
    ),
    "wrong_title": Explanation(
        means="the event names another title than the one that its key is of",
        usual_cause="a build with the key of another game; a key in wrong hands",
        rule="- {reason: wrong_title, drop: [title]}",
    ),
    "unprocessable": Explanation(
        means="the stream failed on this message in a way that nobody foresaw; it is a defect of ours",
        usual_cause="see the message; report it, and replay when it is mended",
        rule="",
    ),
    "unstorable": Explanation(
        means="the warehouse refused the row; the payload is the row as text",
        usual_cause="the table has other columns than this version writes; see the message",
        rule="",
    ),
}
