"""Convert between the V1 protocol's rows and the columns that a model version takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from questline_core.errors import BadInput
from questline_core.spend.original import ORIGINAL_FIELDS, inputs_from_instance
from questline_kserve.version import Column, column


def columns_from_body(body: Any, inputs: Mapping[str, str]) -> dict[str, Column]:
    """Take the columns from `{"instances": [...]}`, each instance one row as a mapping.

    An instance holds inputs of the model by name, or the eleven fields of the original's request.

    Args:
        body: what the server decoded, or the bytes if the content type kept it from decoding JSON.
        inputs: the model's inputs, name -> datatype.

    Raises:
        BadInput: names the instance and the key that cannot be used.
    """
    rows = [_row(f"instances[{at}]", instance, inputs) for at, instance in enumerate(_instances(body))]
    columns = {}
    for name, datatype in inputs.items():
        try:
            columns[name] = column(datatype, [row.get(name) for row in rows])
        except ValueError as error:
            raise BadInput(f"{name!r} in instances: {error}") from None
    return columns


def predictions(answers: Mapping[str, Column]) -> list[dict[str, Any]]:
    """Make one mapping a row of the answers' columns."""
    values = zip(*(data.tolist() for data in answers.values()), strict=True)
    return [dict(zip(answers, row, strict=True)) for row in values]


def _instances(body: Any) -> Sequence[Any]:
    if isinstance(body, bytes):  # the server decodes only content types without parameters such as charset
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"the request is not JSON: {error}") from None
    instances = body.get("instances") if isinstance(body, Mapping) else None
    if not isinstance(instances, list) or not instances:
        raise BadInput('the request must be {"instances": [{…}, …]} with at least one instance')
    return instances


def _row(where: str, instance: Any, inputs: Mapping[str, str]) -> Mapping[str, Any]:
    """Make one row of an instance: as it is if the model knows all its keys, translated if the original knows them."""
    if not isinstance(instance, Mapping):
        raise BadInput(f"{where} must be a mapping of inputs by name and is a {type(instance).__name__}")
    if instance.keys() <= inputs.keys():
        return instance
    if "event_name" not in inputs or not instance.keys() <= ORIGINAL_FIELDS:
        unknown = next(key for key in instance if key not in inputs)
        raise BadInput(f"{where} has the unknown key {unknown!r}; the model takes {', '.join(inputs)}")
    try:
        return inputs_from_instance(instance)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None
