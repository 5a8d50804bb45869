"""`questline rejects`: list what broke the contract, explain it, try fixes, and send it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from questline_core.rejects.replay import Mended
    from questline_core.rejects.store import Reject, RejectStore

rejects = typer.Typer(
    help="List, explain, mend and replay rejected events.", no_args_is_help=True, add_completion=False
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for another program.")]
Reason = Annotated[str | None, typer.Option(help="Only rejects of this reason.")]


@rejects.command("list")
def list_(*, as_json: Json = False) -> None:
    """Group all rejects by reason and field, with the id of an example of each."""
    from dataclasses import asdict

    with _opened() as (_, store):
        groups = store.groups()
    if as_json:
        print(json.dumps([asdict(group) for group in groups]))
        return
    for group in groups:
        replayed = f" ({group.replayed:,} replayed)" if group.replayed else ""
        print(f"{group.count:>8,}  {_kind(group.reason, group.field)}{replayed}, newest {_time(group.last_micros)}")
        print(f"{'':10}{group.message}\n{'':10}questline rejects show {group.example}")
    if not groups:
        print("nothing was rejected")


@rejects.command()
def show(
    message_id: Annotated[str, typer.Argument(help="As `questline rejects list` names it.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the event here as JSON, to be edited and replayed.")] = None,
) -> None:
    """Show one reject: why it was rejected, and its event or its bytes."""
    from questline_core.rejects.replay import as_json

    with _opened() as (_, store):
        [reject] = store.get([message_id])
    text = as_json(reject)
    print(f"{reject.message_id}: {_kind(reject.reason, reject.field)}, {reject.source}, {_time(reject.time_micros)}")
    print(reject.message)
    print(text or f"{len(reject.payload):,} bytes that are no event: {reject.payload[:256]!r}")
    if out:
        from questline_core.processes import write_atomically

        write_atomically(out, f"{text or '{}'}\n")


@rejects.command()
def explain(reason: Annotated[str | None, typer.Argument(help="A reason; all without one.")] = None) -> None:
    """Say what a reason means, what usually causes it, and with which rule it is mended."""
    from questline_core.errors import BadInput
    from questline_core.rejects.reasons import REASONS

    if reason is not None and reason not in REASONS:
        raise BadInput(f"there is no reason {reason!r}; there are {', '.join(REASONS)}")
    for name in [reason] if reason else REASONS:
        told = REASONS[name]
        print(f"{name}: {told.means}\n  usual cause: {told.usual_cause}")
        print("".join(f"  {line}\n" for line in told.rule.splitlines()), end="")


@rejects.command()
def fix(
    fixes: Annotated[Path, typer.Argument(help="Fix file, see docs/rejects.md.")],
    *,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Try a fix file on all rejects that were not replayed, and send nothing: tell what would become of them."""
    from questline_core.rejects.fixes import read_fixes

    rules = read_fixes(fixes)
    with _opened() as (settings, store):
        mended = _mended(list(store.waiting(reason=reason)), rules, settings.title)
    _tell(mended, "would be replayed", as_json=as_json)


@rejects.command()
def replay(
    message_ids: Annotated[list[str] | None, typer.Argument(help="Only these; all that wait without one.")] = None,
    *,
    fixes: Annotated[Path | None, typer.Option("--fix", help="Mend with this fix file first.")] = None,
    payload: Annotated[Path | None, typer.Option(help="Send this edited event in place of the one reject.")] = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Send rejects again through the checks; what still breaks the contract stays, and nothing is sent twice.

    Ends with exit code 1 when something still breaks it.
    """
    import asyncio

    from questline_core.broker.port import open_broker
    from questline_core.rejects.fixes import read_fixes
    from questline_core.rejects.replay import replay as send

    rules = read_fixes(fixes) if fixes else []
    with _opened() as (settings, store), closing(open_broker(settings.broker_url)) as broker:
        chosen = [r for r in store.waiting(reason=reason) if not message_ids or r.message_id in message_ids]
        store.get(message_ids or [])
        if payload:
            chosen = [_edited(chosen, message_ids or [], payload)] if chosen else []
        mended = _mended(chosen, rules, settings.title)
        how = "edited payload" if payload else "fix file" if fixes else "as it was"
        asyncio.run(send(mended, broker, store, how=how))
    _tell(mended, "replayed", as_json=as_json)
    if any(one.problem for one in mended):
        raise typer.Exit(1)


@rejects.command("dead-letters")
def dead_letters(
    *,
    replay: Annotated[bool, typer.Option("--replay", help="Send them again as new messages, and remove them.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most dead letters to look at or to send.")] = 1_000,
    as_json: Json = False,
) -> None:
    """List messages that the stream could not work on five times, or send them again once the cause is mended."""
    import asyncio

    from questline_core.broker.dead import open_dead_letters, revive
    from questline_core.broker.port import open_broker
    from questline_core.settings import PlatformSettings

    address = PlatformSettings.read_existing().broker_url
    with closing(open_dead_letters(address)) as dead:
        if replay:
            with closing(open_broker(address)) as broker:
                sent = asyncio.run(revive(dead, broker, limit=limit))
            print(json.dumps({"sent": sent}) if as_json else f"{sent:,} dead letters were sent again")
            return
        found = dead.find(limit)
        rows = [{"letter": one.name, "reason": one.reason, "attributes": dict(one.message.attributes)} for one in found]
    if as_json:
        print(json.dumps(rows))
    else:
        print(
            "\n".join(f"{one.name}: {one.reason}; {dict(one.message.attributes)}" for one in found) or "no dead letters"
        )


def _edited(chosen: Sequence[Reject], message_ids: Sequence[str], payload: Path) -> Reject:
    from dataclasses import replace

    from questline_core.errors import BadInput
    from questline_core.rejects.replay import read_edited

    if len(message_ids) != 1:
        raise BadInput("--payload takes the place of one reject; name the id of that one")
    return replace(chosen[0], payload=read_edited(payload).SerializeToString())


def _mended(rejects: Sequence[Reject], rules: Sequence[Any], title: str) -> list[Mended]:
    from questline_core.rejects.replay import try_to_mend

    return list(try_to_mend(rejects, rules, title=title))


def _tell(mended: Sequence[Mended], done: str, *, as_json: bool) -> None:
    from collections import defaultdict

    from questline_core.rejects.store import anywhere

    left = defaultdict[tuple[str, str], list[str]](list)
    for one in mended:
        if one.problem:
            left[one.problem.reason, anywhere(one.problem.field)].append(one.reject.message_id)
    still = sum(map(len, left.values()))
    ready = len(mended) - still
    if as_json:
        kinds = [{"reason": reason, "field": field, "count": len(ids)} for (reason, field), ids in left.items()]
        print(json.dumps({"ready": ready, "left": kinds}))
        return
    print(f"{ready:,} {done}, {still:,} still break the contract")
    for kind, ids in sorted(left.items(), key=lambda one: -len(one[1])):
        print(f"{len(ids):>8,}  {_kind(*kind)}, such as {ids[0]}")


def _kind(reason: str, field: str) -> str:
    return f"{reason} {field}".rstrip()


@contextmanager
def _opened() -> Iterator[tuple[Any, RejectStore]]:
    from questline_core.rejects.store import RejectStore
    from questline_core.settings import PlatformSettings
    from questline_core.warehouse.port import open_warehouse

    settings = PlatformSettings.read_existing()
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        yield settings, RejectStore(warehouse)


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(sep=" ", timespec="seconds")
