"""Dates and times: GoogleSQL counts days of the week from 1, whole units in TIMESTAMP_DIFF, and weeks from Sunday."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from questline_core.warehouse.rules.build import Node, Rule, call, cast, refused

_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_WEEKS: Mapping[str, int] = {"ISOWEEK": 1} | {f"WEEK({day})": index for index, day in enumerate(_DAYS)}
_SAME_PARTS = ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "ISOYEAR")
_PARTS: Mapping[str, str] = {part: part.lower() for part in _SAME_PARTS} | {"DAYOFYEAR": "doy", "ISOWEEK": "week"}
_EXACT = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY")
_MONTHS = ("MONTH", "QUARTER", "YEAR")
_FORMAT_ELEMENTS = frozenset("YmdHMSjyFTBbAa%")


def _unit(node: Any, *allowed: str) -> str:
    unit = node.args["unit"]
    name = f"WEEK({unit.name.upper()})" if isinstance(unit, exp.WeekStart) else unit.name.upper()
    if name not in allowed:
        raise refused(f"the date part {name} here")
    return name


def _extract(node: exp.Extract) -> Node:
    value = node.expression
    part = f"WEEK({node.this.name.upper()})" if isinstance(node.this, exp.WeekStart) else node.name.upper()
    if part in _PARTS:
        return call("date_part", _PARTS[part], value)
    special: Mapping[str, Callable[[], Node]] = {
        "DAYOFWEEK": lambda: exp.Paren(this=exp.Add(this=call("date_part", "dow", value), expression=exp.convert(1))),
        "WEEK": lambda: cast(call("strftime", value, "%U"), "BIGINT"),
        "WEEK(SUNDAY)": lambda: cast(call("strftime", value, "%U"), "BIGINT"),
        "WEEK(MONDAY)": lambda: cast(call("strftime", value, "%W"), "BIGINT"),
        "MILLISECOND": lambda: call("mod", call("date_part", "millisecond", value), 1_000),
        "MICROSECOND": lambda: call("mod", call("date_part", "microsecond", value), 1_000_000),
        "DATE": lambda: cast(value, "DATE"),
    }
    if part not in special:
        raise refused(f"EXTRACT({part} …)")
    return special[part]()


def _interval(node: Any, *allowed: str) -> Node:
    count, unit = node.expression, _unit(node, *allowed)
    if isinstance(count, exp.Literal):
        count = exp.Literal.number(count.name)
    if unit == "QUARTER":
        count, unit = exp.Mul(this=exp.Paren(this=count), expression=exp.convert(3)), "MONTH"
    unit = "WEEK" if unit.startswith("WEEK") else unit
    type_ = "INTEGER" if unit in ("DAY", "WEEK", "MONTH", "YEAR") else "BIGINT"
    return call(f"to_{unit.lower()}s", cast(exp.Paren(this=count), type_))


def _shift(operator: type[exp.Binary], *units: str) -> Rule:
    def rule(node: Any) -> Node:
        return exp.Paren(this=operator(this=node.this, expression=_interval(node, *units)))

    return rule


def _shift_date(operator: type[exp.Binary]) -> Rule:
    def rule(node: Any) -> Node:
        interval = _interval(node, "DAY", "WEEK", "WEEK(SUNDAY)", *_MONTHS)
        return cast(exp.Paren(this=operator(this=call("gsql_date", node.this), expression=interval)), "DATE")

    return rule


def _timestamp_diff(node: exp.TimestampDiff) -> Node:
    return call("date_sub", _unit(node, *_EXACT).lower(), node.expression, node.this)


def _date_diff(node: exp.DateDiff) -> Node:
    later, earlier = call("gsql_date", node.this), call("gsql_date", node.expression)
    return _boundaries(node, later, earlier, "DAY")


def _datetime_diff(node: exp.DatetimeDiff) -> Node:
    return _boundaries(node, node.this, node.expression, *_EXACT)


def _boundaries(node: Node, later: Node, earlier: Node, *units: str) -> Node:
    unit = _unit(node, *units, *_MONTHS, *_WEEKS)
    if unit not in _WEEKS:
        return call("date_diff", unit.lower(), earlier, later)
    starts = [call("gsql_week_start", cast(day, "DATE"), _WEEKS[unit]) for day in (later, earlier)]
    return exp.IntDiv(this=exp.Paren(this=exp.Sub(this=starts[0], expression=starts[1])), expression=exp.convert(7))


def _date_trunc(node: exp.DateTrunc) -> Node:
    date, unit = call("gsql_date", node.this), _unit(node, "DAY", *_MONTHS, *_WEEKS)
    if unit in _WEEKS:
        return call("gsql_week_start", date, _WEEKS[unit])
    return cast(call("date_trunc", unit.lower(), date), "DATE")


def _time_trunc(node: exp.TimestampTrunc | exp.DatetimeTrunc) -> Node:
    unit = _unit(node, *_EXACT, *_MONTHS, *_WEEKS)
    zone = node.args.get("zone")
    local: Node = call("timezone", zone, node.this) if zone else node.this
    if unit in _WEEKS:
        days = call("to_days", (8 - _WEEKS[unit]) % 7)
        start: Node = exp.Sub(
            this=call("date_trunc", "week", exp.Add(this=local, expression=days)), expression=days.copy()
        )
    else:
        start = call("date_trunc", unit.lower(), local)
    return call("timezone", zone.copy(), start) if zone else exp.Paren(this=start)


def _date(node: exp.Date) -> Node:
    zone = node.args.get("zone")
    return cast(call("timezone", zone, cast(node.this, "TIMESTAMPTZ")) if zone else node.this, "DATE")


def _timestamp(node: exp.Timestamp) -> Node:
    zone = node.args.get("zone")
    return call("timezone", zone, cast(node.this, "TIMESTAMP")) if zone else cast(node.this, "TIMESTAMPTZ")


def _datetime(node: exp.Datetime | exp.TsOrDsToDatetime) -> Node:
    zone = node.args.get("expression")
    return call("timezone", zone, cast(node.this, "TIMESTAMPTZ")) if zone else cast(node.this, "TIMESTAMP")


def _from_unix(node: exp.UnixToTime) -> Node:
    scale = node.args.get("scale")
    factor = 10 ** (6 - (int(scale.name) if scale else 0))
    return call("make_timestamptz", exp.Mul(this=cast(node.this, "BIGINT"), expression=exp.convert(factor)))


def _to_unix(micros: int) -> Rule:
    def rule(node: Any) -> Node:
        return call("gsql_floor_div", call("epoch_us", node.this), cast(exp.convert(micros), "BIGINT"))

    return rule


def _time_text(node: exp.TimeToStr) -> Node:
    _check_format(node.args["format"])
    zone, date = node.args.get("zone"), isinstance(node.this, exp.TsOrDsToDate)
    value: Node = cast(node.this.this, "DATE" if date else "TIMESTAMPTZ")
    return call("strftime", call("timezone", zone, value) if zone else value, node.args["format"])


def _parse_date(node: exp.StrToDate) -> Node:
    _check_format(node.args["format"])
    return cast(call("strptime", node.this, node.args["format"]), "DATE")


def _parse_time(node: exp.StrToTime | exp.ParseDatetime) -> Node:
    _check_format(node.args["format"])
    if not {"%Y", "%y"} & {f"%{part[:1]}" for part in node.args["format"].name.split("%")[1:]}:
        raise refused("a format without a year here")
    local, zone = call("strptime", node.this, node.args["format"]), node.args.get("zone")
    return local if isinstance(node, exp.ParseDatetime) else call("timezone", zone or "UTC", local)


def _times(node: exp.GenerateTimestampArray) -> Node:
    return call("generate_series", node.args["start"], node.args["end"], node.args["step"])


def _last_day(node: exp.LastDay) -> Node:
    unit = node.args.get("unit")
    if unit is not None and unit.name.upper() != "MONTH":
        raise refused(f"LAST_DAY(…, {unit.name.upper()})")
    return call("last_day", call("gsql_date", node.this))


def _check_format(format_: Node) -> None:
    if not isinstance(format_, exp.Literal):
        raise refused("a date format that is not written out as text")
    for element in format_.name.replace("%%", "").split("%")[1:]:
        if element[:1] not in _FORMAT_ELEMENTS:
            raise refused(f"the format element %{element[:1]}")


def _string_of_time(node: exp.String) -> Node:
    if node.args.get("zone"):
        raise refused("STRING(…, zone)", "use FORMAT_TIMESTAMP")
    return call("gsql_string", node.this)


RULES: Mapping[type[Node], Rule] = {
    exp.Extract: _extract,
    exp.TimestampDiff: _timestamp_diff,
    exp.DateDiff: _date_diff,
    exp.DatetimeDiff: _datetime_diff,
    exp.DateAdd: _shift_date(exp.Add),
    exp.DateSub: _shift_date(exp.Sub),
    exp.TimestampAdd: _shift(exp.Add, *_EXACT),
    exp.TimestampSub: _shift(exp.Sub, *_EXACT),
    exp.DatetimeAdd: _shift(exp.Add, *_EXACT, "WEEK", *_MONTHS),
    exp.DatetimeSub: _shift(exp.Sub, *_EXACT, "WEEK", *_MONTHS),
    exp.DateTrunc: _date_trunc,
    exp.TimestampTrunc: _time_trunc,
    exp.DatetimeTrunc: _time_trunc,
    exp.Date: _date,
    exp.Timestamp: _timestamp,
    exp.Datetime: _datetime,
    exp.TsOrDsToDatetime: _datetime,
    exp.UnixToTime: _from_unix,
    exp.UnixSeconds: _to_unix(1_000_000),
    exp.UnixMillis: _to_unix(1_000),
    exp.TimeToStr: _time_text,
    exp.StrToDate: _parse_date,
    exp.StrToTime: _parse_time,
    exp.ParseDatetime: _parse_time,
    exp.GenerateTimestampArray: _times,
    exp.LastDay: _last_day,
    exp.String: _string_of_time,
}
