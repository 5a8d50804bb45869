"""Rules that turn a tree of GoogleSQL into one that means the same in DuckDB, where sqlglot's own translation does not.

A rule takes one node whose children are done already, and gives the node that stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from questline_core.errors import BadInput

Node = exp.Expression
Rule = Callable[[Any], Node]

_DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
_PLAIN_PARTS = {part: part for part in ("YEAR", "QUARTER", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "ISOYEAR")}
_PARTS = _PLAIN_PARTS | {"DAYOFYEAR": "DOY", "ISOWEEK": "WEEK"}
_EXACT_UNITS = ("MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY")
_CALENDAR_UNITS = ("WEEK", "MONTH", "QUARTER", "YEAR")
_TYPES = frozenset(
    (exp.DType.BIGINT, exp.DType.DOUBLE, exp.DType.TEXT, exp.DType.BOOLEAN, exp.DType.DATE, exp.DType.TIMESTAMP)
    + (exp.DType.TIMESTAMPTZ, exp.DType.BINARY, exp.DType.ARRAY, exp.DType.STRUCT)
)
_FORMAT_ELEMENTS = frozenset("YmdHMSjyFTBbAa%")


def call(name: str, *arguments: Node | str | int) -> exp.Anonymous:
    """Call a function of DuckDB or a macro."""
    return exp.Anonymous(this=name, expressions=[exp.convert(argument) for argument in arguments])


def cast(node: Node, type_: str) -> exp.Cast:
    """Cast to a type of DuckDB."""
    return exp.Cast(this=node, to=exp.DataType.build(type_, dialect="duckdb"))


def _unit(node: Node, *allowed: str) -> str:
    unit = node.args["unit"] if isinstance(node, exp.Expression) and "unit" in node.args else node
    if isinstance(unit, exp.WeekStart):
        name = "WEEK(" + unit.name.upper() + ")"
    else:
        name = unit.name.upper()
    if name not in allowed:
        raise BadInput(f"the date part {name} is not supported here by the embedded warehouse")
    return name


def _number(node: exp.Literal) -> Node:
    """Give a number its GoogleSQL type: INT64 or FLOAT64, where DuckDB takes INTEGER or DECIMAL."""
    if node.is_string or isinstance(
        node.parent, (exp.Limit, exp.Offset, exp.Interval, exp.Ordered, exp.Group, exp.WindowSpec)
    ):
        return node
    if isinstance(node.parent, (exp.DataTypeParam, exp.UnixToTime, exp.ApproxQuantiles, exp.StrToDate)):
        return node
    text = node.name.lower()
    if text.isdigit():
        return cast(node.copy(), "BIGINT")
    return node if "e" in text else exp.Literal.number(f"{text}e0")


def _extract(node: exp.Extract) -> Node:
    value = node.expression
    if isinstance(node.this, exp.WeekStart):
        week = {"SUNDAY": "%U", "MONDAY": "%W"}.get(node.this.name.upper())
        if week is None:
            raise BadInput(f"EXTRACT(WEEK({node.this.name})) is not supported by the embedded warehouse")
        return cast(call("strftime", value, week), "BIGINT")
    part = node.name.upper()
    if part in _PARTS:
        return call("date_part", _PARTS[part].lower(), value)
    special: Mapping[str, Callable[[], Node]] = {
        "DAYOFWEEK": lambda: exp.Paren(this=exp.Add(this=call("date_part", "dow", value), expression=exp.convert(1))),
        "WEEK": lambda: cast(call("strftime", value, "%U"), "BIGINT"),
        "MILLISECOND": lambda: exp.Mod(this=call("date_part", "millisecond", value), expression=exp.convert(1000)),
        "MICROSECOND": lambda: exp.Mod(this=call("date_part", "microsecond", value), expression=exp.convert(1_000_000)),
        "DATE": lambda: cast(value, "DATE"),
    }
    if part not in special:
        raise BadInput(f"EXTRACT({part} …) is not supported by the embedded warehouse")
    return special[part]()


def _interval(node: Node, *allowed: str) -> Node:
    count, unit = node.expression, _unit(node, *allowed)
    if isinstance(count, exp.Literal):
        count = exp.Literal.number(count.name)
    if unit == "QUARTER":
        count, unit = exp.Mul(this=exp.Paren(this=count), expression=exp.convert(3)), "MONTH"
    type_ = "INTEGER" if unit in ("DAY", "WEEK", "MONTH", "YEAR") else "BIGINT"
    return call(f"to_{unit.lower()}s", cast(exp.Paren(this=count), type_))


def _shift(operator: type[exp.Binary], *units: str) -> Rule:
    def rule(node: Node) -> Node:
        return exp.Paren(this=operator(this=node.this, expression=_interval(node, *units)))

    return rule


def _shift_date(operator: type[exp.Binary]) -> Rule:
    def rule(node: Node) -> Node:
        interval = _interval(node, "DAY", *_CALENDAR_UNITS)
        return cast(exp.Paren(this=operator(this=call("gsql_date", node.this), expression=interval)), "DATE")

    return rule


def _timestamp_diff(node: exp.TimestampDiff) -> Node:
    return call("date_sub", _unit(node, *_EXACT_UNITS).lower(), node.expression, node.this)


def _date_diff(node: exp.DateDiff) -> Node:
    later, earlier = call("gsql_date", node.this), call("gsql_date", node.expression)
    return _boundaries(node, later, earlier, "DAY", *_CALENDAR_UNITS)


def _datetime_diff(node: exp.DatetimeDiff) -> Node:
    return _boundaries(node, node.this, node.expression, *_EXACT_UNITS, *_CALENDAR_UNITS)


def _boundaries(node: Node, later: Node, earlier: Node, *units: str) -> Node:
    weeks = tuple(f"WEEK({day})" for day in _DAYS)
    unit = _unit(node, *units, "ISOWEEK", *weeks)
    if unit in ("WEEK", "ISOWEEK") or unit in weeks:
        first_day = _DAYS.index(unit[5:-1]) if unit in weeks else int(unit == "ISOWEEK")
        starts = [call("gsql_week_start", cast(day, "DATE"), first_day) for day in (later, earlier)]
        return exp.IntDiv(this=exp.Paren(this=exp.Sub(this=starts[0], expression=starts[1])), expression=exp.convert(7))
    return call("date_diff", unit.lower(), earlier, later)


def _date_trunc(node: exp.DateTrunc) -> Node:
    date = call("gsql_date", node.this)
    weeks = tuple(f"WEEK({day})" for day in _DAYS)
    unit = _unit(node, "DAY", "ISOWEEK", *_CALENDAR_UNITS, *weeks)
    if unit in weeks:
        return call("gsql_week_start", date, _DAYS.index(unit[5:-1]))
    return cast(call("date_trunc", "week" if unit == "ISOWEEK" else unit.lower(), date), "DATE")


def _time_trunc(node: exp.TimestampTrunc | exp.DatetimeTrunc) -> Node:
    unit = _unit(node, *_EXACT_UNITS, "ISOWEEK", "MONTH", "QUARTER", "YEAR")
    value, zone = node.this, node.args.get("zone")
    local = call("timezone", zone, value) if zone else value
    start = call("date_trunc", "week" if unit == "ISOWEEK" else unit.lower(), local)
    return call("timezone", zone.copy(), start) if zone else start


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
    def rule(node: Node) -> Node:
        return call("gsql_floor_div", call("epoch_us", node.this), cast(exp.convert(micros), "BIGINT"))

    return rule


def _time_text(node: exp.TimeToStr) -> Node:
    _check_format(node.args["format"])
    value, zone = node.this, node.args.get("zone")
    date = isinstance(value, exp.TsOrDsToDate)
    inner = cast(value.this, "DATE" if date else "TIMESTAMPTZ")
    if zone:
        inner = call("timezone", zone, inner)
    return call("strftime", inner, node.args["format"])


def _parse_date(node: exp.StrToDate) -> Node:
    _check_format(node.args["format"])
    return cast(call("strptime", node.this, node.args["format"]), "DATE")


def _check_format(format_: Node) -> None:
    if not isinstance(format_, exp.Literal):
        raise BadInput("a date format must be written out as text to be translated by the embedded warehouse")
    used = format_.name.split("%")[1:]
    bad = [f"%{element[:1]}" for element in used if element[:1] not in _FORMAT_ELEMENTS and element]
    if bad:
        raise BadInput(f"the format element {bad[0]} is not supported by the embedded warehouse")


def _cast(node: exp.Cast) -> Node:
    safe = "safe_" if isinstance(node, exp.TryCast) else ""
    if node.args.get("format"):
        raise BadInput("CAST … FORMAT is not supported by the embedded warehouse; use FORMAT_DATE or FORMAT_TIMESTAMP")
    kind = node.to.this
    if kind == exp.DType.BIGINT:
        return call(f"gsql_{safe}int64", node.this)
    if kind == exp.DType.BOOLEAN:
        return call(f"gsql_{safe}bool", node.this)
    if kind == exp.DType.TEXT and not node.to.expressions:
        return call("gsql_string", node.this)
    return node


def _type(node: exp.DataType) -> Node:
    if node.this not in _TYPES:
        raise BadInput(f"the type {node.this.value} is not supported by the embedded warehouse")
    return node


def _negative(node: exp.Neg) -> Node:
    # The lowest INT64 has no positive counterpart, so the sign belongs to the number.
    if isinstance(node.this, exp.Cast) and isinstance(node.this.this, exp.Literal):
        return cast(exp.Literal(this=f"-{node.this.name}", is_string=False), "BIGINT")
    return node


def _on_float(node: Node) -> Node:
    """GoogleSQL rounds to FLOAT64, also what is an INT64."""
    node.set("this", cast(node.this, "DOUBLE"))
    if node.args.get("decimals"):
        node.set("decimals", cast(node.args["decimals"], "INTEGER"))
    return node


def _pad(node: exp.Pad) -> Node:
    node.set("expression", cast(node.expression, "INTEGER"))
    return node


def _in(node: exp.In) -> Node:
    unnest = node.args.get("unnest")
    if unnest is None:
        return node
    items = exp.Select(expressions=[call("unnest", unnest.expressions[0])])
    return exp.In(this=node.this, query=exp.Subquery(this=items))


def _element(node: exp.Bracket) -> Node:
    index = node.expressions[0]
    if len(node.expressions) != 1 or index.is_string:
        raise BadInput("[…] takes one number, OFFSET(…) or SAFE_OFFSET(…); fields of JSON are not supported")
    if node.args.get("offset") == 1:
        index = exp.Sub(this=exp.Paren(this=index), expression=exp.convert(1))
    return exp.Paren(this=call("gsql_safe_at" if node.args.get("safe") else "gsql_at", node.this, index))


def _array_agg(node: exp.ArrayAgg) -> Node:
    kept, limit, ignore = node.this, None, isinstance(node.parent, exp.IgnoreNulls)
    if isinstance(kept, exp.Limit):
        kept, limit = kept.this, kept.expression
    items = call("list", kept)
    if limit is None and not ignore:
        return items
    if isinstance(node.find_ancestor(exp.Window, exp.Select), exp.Window):
        raise BadInput("ARRAY_AGG(… LIMIT or IGNORE NULLS) OVER (…) is not supported by the embedded warehouse")
    if ignore:
        value = kept.this if isinstance(kept, exp.Order) else kept
        value = value.expressions[0] if isinstance(value, exp.Distinct) else value
        present = exp.Not(this=exp.Is(this=value.copy(), expression=exp.Null()))
        items = exp.Filter(this=items, expression=exp.Where(this=present))  # type: ignore[assignment]
    return items if limit is None else call("list_slice", items, 1, limit)


def _nulls(node: exp.IgnoreNulls | exp.RespectNulls) -> Node:
    # An ARRAY_AGG has been replaced already, by a call or a filter that knows about NULL.
    return node if isinstance(node.this, exp.AggFunc) else node.this


def _string_agg(node: exp.GroupConcat) -> Node:
    if isinstance(node.this, exp.Limit):
        raise BadInput(
            "STRING_AGG(… LIMIT n) is not supported by the embedded warehouse; use ARRAY_TO_STRING(ARRAY_AGG(…))"
        )
    return node


def _quantiles(node: exp.ApproxQuantiles) -> Node:
    count = int(node.expression.name)
    return call("quantile_disc", node.this, exp.Array(expressions=[exp.convert(i / count) for i in range(count + 1)]))


def _like(node: exp.Like) -> Node:
    pattern = node.expression
    if isinstance(pattern, exp.Any):
        raise BadInput("this form of LIKE is not supported by the embedded warehouse")
    if isinstance(pattern, exp.Literal) and "\\" not in pattern.name:
        return node
    return exp.Paren(this=exp.Escape(this=node.copy(), expression=exp.Literal.string("\\")))


def _substring(node: exp.Substring) -> Node:
    rest = cast(exp.convert(2**31 - 1), "BIGINT")
    return call("gsql_substr", node.this, node.args["start"], node.args.get("length") or rest)


def _regexp_extract(node: exp.RegexpExtract | exp.RegexpExtractAll) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise BadInput("REGEXP_EXTRACT with a position is not supported by the embedded warehouse")
    return node


def _position(node: exp.StrPosition) -> Node:
    if node.args.get("position") or node.args.get("occurrence"):
        raise BadInput("INSTR with a position is not supported by the embedded warehouse")
    return node


def _safe(node: exp.SafeFunc) -> Node:
    return call("try", node.this)


def _unnest(node: exp.Unnest) -> Node:
    if isinstance(node.parent, exp.In):
        return node
    alias, offset = node.args.get("alias"), node.args.get("offset")
    if alias is None or not alias.columns:
        raise BadInput("give UNNEST a name, as in UNNEST(event_params) AS p, and write p.key")
    if not offset:
        return node
    array = node.expressions[0]
    position = exp.Sub(this=call("generate_subscripts", array.copy(), 1), expression=exp.convert(1))
    name = offset if isinstance(offset, exp.Identifier) else exp.to_identifier("offset")
    columns: list[Node] = [
        exp.Alias(this=call("unnest", array), alias=alias.columns[0]),
        exp.Alias(this=position, alias=name),
    ]
    return exp.Subquery(
        this=exp.Select(expressions=columns),
        alias=exp.TableAlias(this=exp.to_identifier(f"unnest_{alias.columns[0].name}")),
    )


def _join(node: exp.Join) -> Node:
    if node.side and not node.args.get("on") and not node.args.get("using") and isinstance(node.this, exp.Subquery):
        node.set("on", exp.true())
    return node


RULES: Mapping[type[Node], Rule] = {
    exp.Literal: _number,
    exp.Neg: _negative,
    exp.DataType: _type,
    exp.Round: _on_float,
    exp.Floor: _on_float,
    exp.Ceil: _on_float,
    exp.Trunc: _on_float,
    exp.Pad: _pad,
    exp.Extract: _extract,
    exp.TimestampDiff: _timestamp_diff,
    exp.DateDiff: _date_diff,
    exp.DatetimeDiff: _datetime_diff,
    exp.DateAdd: _shift_date(exp.Add),
    exp.DateSub: _shift_date(exp.Sub),
    exp.TimestampAdd: _shift(exp.Add, *_EXACT_UNITS),
    exp.TimestampSub: _shift(exp.Sub, *_EXACT_UNITS),
    exp.DatetimeAdd: _shift(exp.Add, *_EXACT_UNITS, *_CALENDAR_UNITS),
    exp.DatetimeSub: _shift(exp.Sub, *_EXACT_UNITS, *_CALENDAR_UNITS),
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
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.String: lambda node: call("gsql_string", _string_of_time(node)),
    exp.In: _in,
    exp.Bracket: _element,
    exp.ArrayAgg: _array_agg,
    exp.IgnoreNulls: _nulls,
    exp.RespectNulls: _nulls,
    exp.GroupConcat: _string_agg,
    exp.ApproxQuantiles: _quantiles,
    exp.Like: _like,
    exp.Substring: _substring,
    exp.RegexpExtract: _regexp_extract,
    exp.RegexpExtractAll: _regexp_extract,
    exp.StrPosition: _position,
    exp.SafeFunc: _safe,
    exp.Unnest: _unnest,
    exp.Join: _join,
}


def _string_of_time(node: exp.String) -> Node:
    if node.args.get("zone"):
        raise BadInput("STRING(…, zone) is not supported by the embedded warehouse; use FORMAT_TIMESTAMP")
    return node.this


def place(node: Node) -> str:
    """Tell where in the text a node stands, as exactly as it is known."""
    for part in node.walk():
        if "line" in part.meta:
            return f"line {part.meta['line']}, column {part.meta['col'] - len(part.name) + 1 if part.name else part.meta['col']}"
    return "the query"


def rewrite(tree: Node) -> None:
    """Apply the rules to a tree from its leaves up, in place.

    Raises:
        BadInput: something has no counterpart in DuckDB; tells what and where.
    """
    for node in reversed(list(tree.walk())):
        rule = RULES.get(type(node))
        if rule is None:
            continue
        position = place(node)
        try:
            new = rule(node)
        except BadInput as error:
            raise BadInput(f"{position}: {error}") from None
        if new is not node:
            node.replace(new)
