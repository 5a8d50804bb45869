"""Read the comments of the .proto files, which are the descriptions of columns.

A compiled descriptor holds no comments, so they are read from the file, which is installed beside the compiled module.
The files keep one form: a field is one line, its comment stands on the lines above it or behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

_COMMENT = re.compile(r"\s*//\s?(?P<text>.*)")
_MESSAGE = re.compile(r"\s*message\s+(?P<name>\w+)\s*\{")
_FIELD = re.compile(r"\s*(?:(?:optional|repeated)\s+)?[\w.]+\s+(?P<name>\w+)\s*=\s*\d+[^;]*;(?:\s*//\s*(?P<text>.*))?")


def comment(field: FieldDescriptor) -> str:
    """Tell what the .proto file says of a field, in one line; empty when it says nothing."""
    message: Any = field.containing_type
    return _comments(message.file.name).get(f"{message.name}.{field.name}", "")


@cache
def _comments(proto: str) -> Mapping[str, str]:
    package, _, name = proto.rpartition("/")
    text = files(package.replace("/", ".")).joinpath(name).read_text(encoding="utf-8")
    return dict(_parse(text))


def _parse(text: str) -> Iterator[tuple[str, str]]:
    """Yield ("Message.field", comment) for every field; a blank line ends a comment that belongs to no field."""
    message, above = "", list[str]()
    for line in text.splitlines():
        if found := _COMMENT.fullmatch(line):
            above.append(found["text"])
            continue
        if found := _MESSAGE.match(line):
            message = found["name"]
        elif found := _FIELD.fullmatch(line):
            yield f"{message}.{found['name']}", " ".join([*above, found["text"] or ""]).strip()
        above.clear()
