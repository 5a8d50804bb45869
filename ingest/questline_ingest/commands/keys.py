"""`questline keys`: make, show, rotate and revoke the API keys of titles."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_ingest.auth.keys import Key, Keys

keys = typer.Typer(help="API keys of titles.", no_args_is_help=True, add_completion=False)

KeysFile = Annotated[
    Path | None, typer.Option("--file", help="File of the keys; default QUESTLINE_KEYS, or HOME/keys.json.")
]


def _open(file: Path | None, *, made: bool = False) -> Keys:
    """Open the file of the keys; one under a home may be `made`, with the home, or must be looked for in one."""
    from questline_ingest.auth.keys import Keys
    from questline_ingest.settings import GatewaySettings

    if named := file or GatewaySettings.read().keys:
        return Keys(named)
    settings = GatewaySettings.read() if made else GatewaySettings.read_existing()
    return Keys(settings.paths.root / "keys.json")


def _audit(action: str, key: Key) -> None:
    from questline_core.logs import configure_logs
    from questline_core.who import who_asks
    from questline_ingest.auth.gate import audit

    configure_logs("keys")
    audit.info(action, who=who_asks(), key_id=key.key_id, title=key.title, role=key.role)


@keys.command()
def create(
    title: Annotated[str, typer.Argument(help="Title whose events the key sends.")],
    *,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Mark every event as a test.")] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="For operators: may ask for counters, sends no events.")
    ] = False,
    file: KeysFile = None,
) -> None:
    """Make a key and print it. It is shown this once; the file keeps only a digest."""
    key, text = _open(file, made=True).create(title, role="admin" if admin else "game", sandbox=sandbox)
    _audit("key created", key)
    print(text)


@keys.command("list")
def list_keys(file: KeysFile = None) -> None:
    """Show every key: id, title, role, since when, until when."""
    for key in _open(file).all():
        role = f"{key.role}, sandbox" if key.is_sandbox else key.role
        print(f"{key.key_id}  {key.title}  {role}  since {_time(key.created_s)}  until {_time(key.ends_s)}")


@keys.command()
def rotate(
    key_id: Annotated[str, typer.Argument(help="The part before the point.")],
    overlap_s: Annotated[int, typer.Option(min=0, help="Seconds for which the old key still works.")] = 86_400,
    file: KeysFile = None,
) -> None:
    """Make a key like this one and print it; the old one ends after the overlap."""
    key, text = _open(file).rotate(key_id, after_s=overlap_s)
    _audit("key rotated", key)
    print(text)


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The part before the point.")], file: KeysFile = None) -> None:
    """Refuse a key from now on; running gateways notice within a second."""
    _audit("key revoked", _open(file).end(key_id))


def _time(seconds: int | None) -> str:
    return "revoked" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
