"""Where models and exports are: folders of this machine, or buckets by way of fsspec."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from questline_core.durable import make_folder, put_in_place
from questline_core.errors import BadInput, MissingExtra, NotReady, QuestlineError

ANSWER_S = 10.0
"""How long a place over a network may take for its first answer."""


def is_bucket(uri: str) -> bool:
    """Tell whether a URI is not the one of a folder or file of this machine."""
    return urlsplit(uri).scheme not in ("", "file")


def local_path(uri: str) -> Path:
    """Give the folder or file that a URI names on this machine, with links as they are.

    Where KServe shows a model's image, a link leads through another process's root, which only the system can follow.

    Raises:
        BadInput: it names a bucket.
    """
    parts = urlsplit(uri)
    if is_bucket(uri):
        raise BadInput(f"{uri} is no folder of this machine; give a path or file:///path")
    return Path(url2pathname(parts.path) if parts.scheme else uri).expanduser().absolute()


def deliver(source: Path, uri: str) -> None:
    """Copy the files of a folder to a place, which is made if need be.

    Raises:
        NotReady: it is a bucket that cannot be written.
    """
    if is_bucket(uri):
        with _bucket(uri) as (system, there):
            system.put(f"{source}/", f"{there.rstrip('/')}/", recursive=True)
        return
    target = local_path(uri)
    for path in (path for path in sorted(source.rglob("*")) if path.is_file()):
        copy = target / path.relative_to(source)
        make_folder(copy.parent)
        put_in_place(copy, path.read_bytes())


def read(uri: str) -> bytes:
    """Read one file.

    Raises:
        OSError: it is on this machine, and cannot be read.
        NotReady: it is in a bucket, and cannot be read.
    """
    if not is_bucket(uri):
        return local_path(uri).read_bytes()
    with _bucket(uri) as (system, there):
        content: bytes = system.cat_file(there)
        return content


def fetch(uri: str, folder: Path) -> None:
    """Copy all files of a place in a bucket into a folder.

    Raises:
        NotReady: there is no such place, or it cannot be read.
    """
    with _bucket(uri) as (system, there):
        system.get(f"{there.rstrip('/')}/", f"{folder}/", recursive=True)


def present(uri: str) -> Sequence[str]:
    """Name the files that a URI with a * matches, sorted."""
    if is_bucket(uri):
        with _bucket(uri) as (system, there):
            return sorted(system.glob(there))
    pattern = local_path(uri)
    above = next(parent for parent in pattern.parents if "*" not in str(parent))
    return sorted(str(path) for path in above.glob(str(pattern.relative_to(above))))


def remove(uri: str, names: Sequence[str]) -> None:
    """Remove files that `present` named."""
    if not is_bucket(uri):
        for name in names:
            Path(name).unlink()
    elif names:
        with _bucket(uri) as (system, _):
            system.rm(list(names))


def reach(uri: str) -> tuple[Any, str]:
    """Open the file system of a URI, of any kind, with the path there; one over a network has answered.

    Raises:
        BadInput: no file system has such a URI.
        MissingExtra: the packages for it are not installed.
        NotReady: it does not answer within `ANSWER_S`.
    """
    try:
        import fsspec  # noqa: PLC0415 - folders of this machine need none

        system, there = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except ImportError:
        raise MissingExtra(f"the place {uri}", "gcp") from None
    except ValueError as error:
        raise BadInput(f"{uri} is no place to read from or write to: {error}") from None
    if system.async_impl:
        _let_answer(uri, system, there)
    return system, there


def _let_answer(uri: str, system: Any, there: str) -> None:
    """Ask a file system over a network for one thing: by itself it would try again for minutes."""
    from fsspec.asyn import FSTimeoutError, sync  # noqa: PLC0415 - folders of this machine need none

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it prints the stack traces of what it raises
    try:
        sync(system.loop, system._info, there, timeout=ANSWER_S)  # noqa: SLF001 - fsspec's name for what can be awaited
    except FSTimeoutError:
        raise NotReady(
            f"{uri} did not answer within {ANSWER_S:g} s; check the network of this machine and the address"
        ) from None
    except Exception:  # noqa: BLE001 - any other answer is one, and what it means is told by the work itself
        return


@contextmanager
def _bucket(uri: str) -> Iterator[tuple[Any, str]]:
    """Open the file system of a URI for one piece of work; gives it with the path there."""
    try:
        yield reach(uri)
    except QuestlineError:
        raise
    except FileNotFoundError as error:
        raise NotReady(f"{uri} is not there ({error}); check the name, and that it was written") from None
    except Exception as error:  # what the network and the clouds' own packages raise has no end
        why = " ".join(str(error).split())[:300]
        raise NotReady(
            f"{uri} cannot be reached ({type(error).__name__}: {why}); check this account's rights"
        ) from error
