"""Find an adapter by the scheme of its address, and import it only then."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from questline_core.errors import BadInput, MissingExtra


def open_adapter(kind: str, address: str, table: Mapping[str, tuple[str, str]], **options: Any) -> Any:
    """Open `scheme:rest` by the table scheme -> ("module:callable", extra that it needs).

    Raises:
        BadInput: no adapter has this scheme.
        MissingExtra: the adapter's packages are not installed.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or scheme not in table:
        known = ", ".join(f"{name}:…" for name in sorted(table))
        raise BadInput(f"{kind} address {address!r} is not understood; use one of {known}")
    target, extra = table[scheme]
    module, _, name = target.partition(":")
    try:
        opener = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise MissingExtra(f"the {kind} {scheme!r}", extra) from error
    return opener(rest, **options)
