"""Python values as typed parameters of a BigQuery query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from google.cloud import bigquery

from questline_core.errors import BadInput
from questline_core.warehouse.columns import INT64

_SCALARS: Mapping[type, str] = {
    bool: "BOOL",
    int: "INT64",
    float: "FLOAT64",
    str: "STRING",
    bytes: "BYTES",
    datetime: "TIMESTAMP",
    date: "DATE",
    time: "TIME",
}
_NUMERIC_SCALE, _NUMERIC_WHOLE_DIGITS = 9, 29


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The parameters whose type a value tells, and the names of those that only the query can type: None and []."""

    typed: tuple[Any, ...]
    untyped: tuple[str, ...]


def parameters_of(values: Mapping[str, Any]) -> Parameters:
    """Type values as GoogleSQL does; a mapping becomes a STRUCT, a list an ARRAY.

    Raises:
        BadInput: a value is of no type that GoogleSQL has, or a list mixes types.
    """
    untyped = tuple(name for name, value in values.items() if _says_nothing(value))
    typed = tuple(_parameter(name, value) for name, value in values.items() if name not in untyped)
    return Parameters(typed=typed, untyped=untyped)


def fill(declared: Any, value: Any) -> Any:
    """Give a parameter that BigQuery typed its value, which is None or []."""
    if isinstance(declared, bigquery.ArrayQueryParameter):
        declared.values = [] if value is None else list(value)
    elif isinstance(declared, bigquery.ScalarQueryParameter):
        declared.value = None
    else:
        raise BadInput(f"the parameter {declared.name} is a STRUCT; give each of its fields a value")
    return declared


def _says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(item is None for item in value))


def _parameter(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return bigquery.StructQueryParameter(name, *(_parameter(key, part) for key, part in value.items()))
    if isinstance(value, (list, tuple)):
        return _array(name, value)
    return bigquery.ScalarQueryParameter(name, _scalar_type(name, value), value)


def _array(name: str, values: list[Any] | tuple[Any, ...]) -> Any:
    if any(isinstance(value, (list, tuple)) for value in values):
        raise BadInput(f"the parameter {name} is a list of lists, which GoogleSQL does not have")
    if any(value is None for value in values):
        raise BadInput(f"the parameter {name} is a list with None in it, which BigQuery does not take")
    if all(isinstance(value, Mapping) for value in values):
        structs = [_parameter(name, value) for value in values]
        if len({repr(struct.struct_types) for struct in structs}) > 1:
            raise BadInput(f"the parameter {name} is a list of structs whose fields or types differ")
        return bigquery.ArrayQueryParameter(name, "STRUCT", structs)
    kinds = {_scalar_type(name, value) for value in values}
    if len(kinds) > 1:
        raise BadInput(f"the parameter {name} is a list of different types")
    return bigquery.ArrayQueryParameter(name, kinds.pop(), list(values))


def _scalar_type(name: str, value: Any) -> str:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise BadInput(f"the parameter {name} is a time without a time zone; give it one, such as UTC")
    if isinstance(value, Decimal) and value.is_finite():
        return _decimal_type(value)
    kind = _SCALARS.get(type(value))
    if kind is None or (type(value) is int and value not in INT64):
        raise BadInput(f"the parameter {name} cannot be given to a query: {value!r} is no GoogleSQL value")
    return kind


def _decimal_type(value: Decimal) -> str:
    scale = -int(value.as_tuple().exponent)
    fits = scale <= _NUMERIC_SCALE and value.adjusted() < _NUMERIC_WHOLE_DIGITS
    return "NUMERIC" if fits else "BIGNUMERIC"
