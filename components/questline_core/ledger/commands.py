"""`questline revisions`: what serves, what served, and the moves between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from questline_core.errors import BadInput
from questline_core.settings import PlatformSettings

if TYPE_CHECKING:
    from questline_core.ledger.table import Ledger
    from questline_core.models.port import ModelHost, ServiceStatus

revisions = typer.Typer(no_args_is_help=True, help="See and move the revisions of a model.")

Model = Annotated[str, typer.Option(help="The model: metadata.name of its InferenceService.")]
Revision = Annotated[str, typer.Argument(help="The revision: a predictor's name.")]


_asked_host = ContextVar("asked_host", default="")


@revisions.callback()
def root(
    host: Annotated[
        str,
        typer.Option(
            help="Where the models are served, such as kserve:NAMESPACE.", show_default="QUESTLINE_MODEL_HOST"
        ),
    ] = "",
) -> None:
    """Keep what all sub-commands need."""
    _asked_host.set(host)


@revisions.command()
def deploy(revision: Revision, model: Model = "spend") -> None:
    """Bring a version of the model store up in the dark, and wait until it answers; the first of all serves."""
    from questline_core.models.manifests import spend_service
    from questline_core.models.moves import dark
    from questline_core.models.store import load

    version = load(_version_folder(model, revision))
    _move("deploy", lambda host: dark(host, spend_service(version.name, version.version, version.uri)))


@revisions.command("list")
def list_revisions(model: Model = "spend") -> None:
    """List the revisions that are declared: share, readiness, and the way to each."""
    for one in _host().status(model).revisions:
        place = "stable" if one.stable else "canary"
        state = "ready" if one.ready else "not ready"
        print(f"{one.revision}  {place}  {one.percent} %  {state}  {one.grpc_address}")


@revisions.command()
def why(model: Model = "spend") -> None:
    """Say for each revision why it does not answer, if it does not."""
    for one in _host().status(model).revisions:
        print(f"{one.revision}: {'answers' if one.ready and not one.message else one.message or one.waits_for}")


@revisions.command()
def diff(before: Revision, after: Revision, model: Model = "spend") -> None:
    """Tell what differs between two versions in the model store: content, data, code and metrics."""
    from questline_core.ledger.table import changed, flat_metrics, origin
    from questline_core.models.store import load

    first, second = (origin(load(_version_folder(model, name))) for name in (before, after))
    found = changed(first, second, ("model_digest", "data_version", "code_version"))
    one, other = flat_metrics(first), flat_metrics(second)
    for name, what in (found | changed(one, other, sorted(one.keys() | other.keys()))).items():
        print(f"{name}: {what}")


@revisions.command()
def history(model: Model = "spend") -> None:
    """List all moves of a model, oldest first."""
    with _ledger() as ledger:
        found = ledger.history(model)
    if not found:
        print(f"the ledger knows of no move of {model}")
    _print_entries(found)


@revisions.command()
def at(
    moment: Annotated[str, typer.Argument(help='A time in UTC, such as "2026-11-20 02:13".')], model: Model = "spend"
) -> None:
    """Tell what served at a time."""
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        raise BadInput(f'{moment!r} is no time; write it as "2026-11-20 02:13", in UTC') from None
    with _ledger() as ledger:
        found = ledger.at(model, when if when.tzinfo else when.replace(tzinfo=UTC))
    if not found:
        print(f"the ledger knows of no revision of {model} at {moment}")
    _print_entries(found)


@revisions.command()
def shift(revision: Revision, percent: Annotated[int, typer.Argument(min=0, max=100)], model: Model = "spend") -> None:
    """Give a canary a share of the requests."""
    from questline_core.models.moves import shift

    _move("shift", lambda host: shift(host, model, revision, percent))


@revisions.command()
def promote(revision: Revision, model: Model = "spend") -> None:
    """Let a canary that answers become the stable revision; the one before stays warm."""
    from questline_core.models.moves import promote

    _move("promote", lambda host: promote(host, model, revision))


@revisions.command()
def drop(revision: Revision, model: Model = "spend") -> None:
    """Take a revision without a share away, such as one that does not come up."""
    from questline_core.models.moves import drop

    _move("drop", lambda host: drop(host, model, revision))


@revisions.command()
def rollback(model: Model = "spend") -> None:
    """Take the canaries' share away; if none has one, bring back the revision that was stable before."""
    from questline_core.models.moves import rollback

    with _ledger() as ledger:
        host = _host()
        before = ledger.stable_before(model, host.status(model).wanted)
        _print_entries(ledger.record("rollback", rollback(host, model, to=before)))


def _move(name: str, move: Callable[[ModelHost], ServiceStatus]) -> None:
    with _ledger() as ledger:
        status = move(_host())
        _print_entries(ledger.record(name, status))


def _host() -> ModelHost:
    from questline_core.models.port import open_model_host

    return open_model_host(_asked_host.get() or PlatformSettings.read_existing().model_host_url)


@contextmanager
def _ledger() -> Iterator[Ledger]:
    from questline_core.ledger.table import Ledger
    from questline_core.warehouse.port import open_warehouse

    settings = PlatformSettings.read_existing()
    with closing(open_warehouse(settings.warehouse_url)) as warehouse:
        yield Ledger(warehouse, settings.model_store_url)


def _version_folder(model: str, revision: str) -> str:
    from questline_core.models.manifests import check_label

    store = PlatformSettings.read_existing().model_store_url
    return "/".join((store, check_label("the model", model), check_label("the revision", revision)))


_ORIGIN = {"model_digest": "model", "data_version": "data", "code_version": "code"}


def _print_entries(entries: list[dict[str, Any]]) -> None:
    for one in entries:
        place = "stable" if one["stable"] else "canary"
        origin = "".join(f"  {word} {one[key][:12]}" for key, word in _ORIGIN.items() if one.get(key))
        print(
            f"{one['moved_at']:%Y-%m-%d %H:%M:%S}  {one['move']:<8}  {one['revision']}  {place}  "
            f"{one['share_percent']:>3} %  by {one['who']}{origin}"
        )
