"""Read the GoogleSQL files that lie beside the code that asks them."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from questline_core.errors import BadInput


@cache
def sql(name: str) -> str:
    """Read the text of AREA/FILE.sql, which lies at questline_core/AREA/sql/FILE.sql.

    Raises:
        BadInput: there is no such file.
    """
    area, _, file = name.partition("/")
    try:
        return (files("questline_core") / area / "sql" / file).read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise BadInput(f"there is no SQL file questline_core/{area}/sql/{file}") from None
