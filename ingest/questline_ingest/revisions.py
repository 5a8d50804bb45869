"""Which revisions of a model are asked, and with which share of the players."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from zlib import crc32

from questline_core.models.port import ServiceStatus

_BUCKETS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One place where the model answers."""

    address: str
    """host:port of the V2 gRPC protocol."""
    share: float = 1.0
    """Its part of the players, in relation to the others' shares."""
    model: str = "spend"
    """Name under which it is asked there."""
    version: str = ""
    """The revision that each request names, so that no other one answers; empty for whichever is there."""


@dataclass(frozen=True, slots=True)
class Revisions:
    """All revisions of a model at one time; a player stays with a revision for as long as the shares stay."""

    all: tuple[Revision, ...]

    def of(self, player: str) -> Revision:
        """Choose by a hash of the player."""
        if len(self.all) == 1:
            return self.all[0]
        whole = sum(revision.share for revision in self.all)
        point = crc32(player.encode()) % _BUCKETS / _BUCKETS * whole
        ends = accumulate(revision.share for revision in self.all)
        return next((r for r, end in zip(self.all, ends, strict=True) if point < end), self.all[-1])


def asked_now(status: ServiceStatus) -> Revisions:
    """Choose the revisions that get requests: those that answer and have a share, the stable one first.

    A canary that grows takes players from the stable one only, because its part of the players ends where it ended.
    """
    return Revisions(
        tuple(
            Revision(address=one.grpc_address, share=one.percent, model=status.name, version=one.revision)
            for one in status.revisions
            if one.ready and one.percent
        )
    )
