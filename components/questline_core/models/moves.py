"""Move revisions: into the dark, to a share of the requests, to the stable place, back, away.

Each move declares a manifest and waits until the host says that it is so. A move that is done already does nothing, so
that a step that is run again does no harm. A revision becomes stable only after it was ready as a canary: KServe would
take the old one away before the new one answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from questline_core.errors import NotReady
from questline_core.models.canary import declared, with_revision, with_share, with_stable, without
from questline_core.models.manifests import service_of
from questline_core.models.port import Manifest, ModelHost, RevisionStatus, ServiceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a move is waited for."""

    limit_s: float = 180.0
    """A large model takes a minute to load."""
    look_every_s: float = 0.2


PATIENCE = Patience()


def dark(host: ModelHost, candidate: Manifest, *, patience: Patience = PATIENCE) -> ServiceStatus:
    """Bring a revision up with 0 % of the requests and wait until it answers; the first of all gets all of them.

    Other revisions without a share go, but for the first that answers: it was stable before and is the way back.

    Raises:
        BadInput: the manifest cannot be used.
        NotReady: the host says why the revision does not answer, or it did not answer in time.
    """
    wanted = service_of(candidate)
    manifest = host.manifest(wanted.name)
    if manifest is not None:
        manifest = _tidied(host, manifest, keep=wanted.revision)
    host.apply(with_revision(manifest, candidate))
    return _wait(host, wanted.name, wanted.revision, lambda one, _: one.ready, patience)


def shift(host: ModelHost, name: str, revision: str, percent: int, *, patience: Patience = PATIENCE) -> ServiceStatus:
    """Give a canary a share of the requests; one that gets some must be ready before.

    Raises:
        BadInput: no canary has this name, or the shares exceed 100 %.
        NotReady: the canary does not answer.
    """
    manifest = _manifest(host, name)
    if percent:
        _must_answer(host.status(name), revision)
    host.apply(with_share(manifest, revision, percent))
    return _wait(host, name, revision, lambda one, _: one.percent == percent, patience)


def expose(host: ModelHost, name: str, revision: str, percent: int, *, patience: Patience = PATIENCE) -> ServiceStatus:
    """Give a new revision a share, as `shift` does; the first of all revisions has all of the requests already.

    Raises:
        BadInput: no revision has this name.
        NotReady: it does not answer.
    """
    if declared(_manifest(host, name))[0].service.revision == revision:
        return host.status(name)
    return shift(host, name, revision, percent, patience=patience)


def promote(host: ModelHost, name: str, revision: str, *, patience: Patience = PATIENCE) -> ServiceStatus:
    """Let a canary that answers become the stable revision; the one before stays warm with 0 %.

    Raises:
        BadInput: no revision has this name.
        NotReady: the canary does not answer, or the host did not follow in time.
    """
    manifest = _manifest(host, name)
    changed = with_stable(manifest, revision)
    if changed is not manifest:
        _must_answer(host.status(name), revision)
        host.apply(changed)
    return _wait(host, name, revision, lambda one, all_: one.stable and one.ready and all_.ready, patience)


def rollback(host: ModelHost, name: str, *, to: str = "", patience: Patience = PATIENCE) -> ServiceStatus:
    """Take the share of all canaries away; if none has one, let the revision `to` come back, which was stable before.

    Raises:
        NotReady: there is nothing to go back to, or it does not answer.
    """
    manifest = _manifest(host, name)
    stable, *canaries = declared(manifest)
    shared = [one.service.revision for one in canaries if one.percent]
    if shared:
        for revision in shared:
            manifest = with_share(manifest, revision, 0)
        host.apply(manifest)
        return _wait(host, name, stable.service.revision, lambda one, _: one.percent == 100, patience)  # noqa: PLR2004
    if not to:
        raise NotReady(f"no canary of {name} has a share, and it is not known what was stable before; promote one")
    return promote(host, name, to, patience=patience)


def drop(host: ModelHost, name: str, revision: str) -> ServiceStatus:
    """Take a revision without a share away, such as a broken one, whose pods keep a node from being drained.

    Raises:
        BadInput: it is the stable revision, or it still has a share.
    """
    host.apply(without(_manifest(host, name), revision))
    return host.status(name)


def _manifest(host: ModelHost, name: str) -> Manifest:
    found = host.manifest(name)
    if found is None:
        raise NotReady(f"no InferenceService {name!r} is declared; deploy a revision first")
    return found


def _tidied(host: ModelHost, manifest: Manifest, *, keep: str) -> Manifest:
    states = host.status(service_of(manifest).name).revisions
    warm = next((one.revision for one in states if one.ready and not one.stable and not one.percent), "")
    for one in declared(manifest):
        if not (one.stable or one.percent or one.service.revision in {keep, warm}):
            manifest = without(manifest, one.service.revision)
    return manifest


def _must_answer(status: ServiceStatus, revision: str) -> None:
    one = status.of(revision)
    if one is None or not one.ready:
        why = (one.message or one.waits_for) if one else "the host does not know it yet"
        raise NotReady(f"{status.name} {revision} does not answer: {why or 'it loads still'}")


def _wait(
    host: ModelHost,
    name: str,
    revision: str,
    so: Callable[[RevisionStatus, ServiceStatus], bool],
    patience: Patience,
) -> ServiceStatus:
    deadline = time.monotonic() + patience.limit_s
    while True:
        status = host.status(name)
        one = status.of(revision)
        if one is not None and so(one, status):
            return status
        if why := one.message if one else status.message:
            raise NotReady(f"{name} {revision} does not answer: {why}")
        if time.monotonic() > deadline:
            waits = one.waits_for if one else ""
            raise NotReady(
                f"{name} {revision} was not there within {patience.limit_s:g} s: {waits or 'it loads still'}"
            )
        time.sleep(patience.look_every_s)
