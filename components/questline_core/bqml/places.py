"""Where exports go and models come from: folders of this machine, or buckets by way of fsspec."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from questline_core.errors import BadInput, MissingExtra


def local_path(uri: str) -> Path:
    """Give the folder or file that a URI names on this machine.

    Raises:
        BadInput: it names a bucket.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file"):
        raise BadInput(f"{uri} is no folder of this machine; give a path or file:///path")
    return Path(url2pathname(parts.path) if parts.scheme else uri).expanduser().resolve()


def deliver(source: Path, uri: str) -> None:
    """Copy the files of a folder to a place, which is made if need be."""
    if urlsplit(uri).scheme in ("", "file"):
        target = local_path(uri)
        for path in (path for path in sorted(source.rglob("*")) if path.is_file()):
            there = target / path.relative_to(source)
            there.parent.mkdir(parents=True, exist_ok=True)
            aside = there.with_name(f".{there.name}.aside")
            aside.write_bytes(path.read_bytes())
            aside.replace(there)
        return
    system, path_there = _bucket(uri)
    system.put(f"{source}/", f"{path_there.rstrip('/')}/", recursive=True)


def present(uri: str) -> Sequence[str]:
    """Name the files that a URI with one * matches."""
    if urlsplit(uri).scheme in ("", "file"):
        pattern = local_path(uri)
        return [str(path) for path in pattern.parent.glob(pattern.name)] if pattern.parent.exists() else []
    system, pattern_there = _bucket(uri)
    return list(system.glob(pattern_there))


def remove(uri: str, names: Sequence[str]) -> None:
    """Remove files that `present` named."""
    if urlsplit(uri).scheme in ("", "file"):
        for name in names:
            Path(name).unlink()
        return
    if names:
        _bucket(uri)[0].rm(list(names))


def _bucket(uri: str) -> tuple[Any, str]:
    try:
        import fsspec  # noqa: PLC0415 - folders of this machine need none

        system, path = fsspec.core.url_to_fs(uri)
    except ImportError:
        raise MissingExtra(f"the place {uri}", "gcp") from None
    except ValueError as error:
        raise BadInput(f"{uri} is no place to write to: {error}") from None
    return system, path
