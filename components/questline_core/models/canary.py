"""The revisions that an InferenceService declares: who is stable, who is a canary, and how they change places.

Every function here takes a manifest and gives another one; nothing is changed in place, and doing it twice is the same
as doing it once. A revision keeps its name all its life, because KServe knows a revision's pods by this name alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from questline_core.errors import BadInput
from questline_core.models.manifests import Service, service_of
from questline_core.models.port import Manifest

WHOLE_PERCENT = 100
_OF_PLACE = ("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "autoScaling", "serviceAccountName")
"""Fields that belong to a place and not to a revision: KServe takes all but the first of the stable one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One revision of a manifest."""

    service: Service
    stable: bool
    percent: int
    """Its share of the requests: 0 to 100."""


def declared(manifest: Manifest) -> tuple[Declared, ...]:
    """List the revisions of a manifest, the stable one first; the stable one has what the canaries leave.

    Raises:
        BadInput: the manifest is no usable InferenceService, two revisions have one name, or the shares exceed 100 %.
    """
    stable, canaries = service_of(manifest), _canaries(manifest)
    services = [stable, *(service_of(_alone(manifest, one["predictor"])) for one in canaries)]
    (name, times), *_ = Counter(one.revision for one in services).most_common(1)
    if times > 1:
        raise BadInput(f"two revisions of {stable.name} are named {name}; give each a name of its own")
    shares = [_percent(one) for one in canaries]
    if sum(shares) > WHOLE_PERCENT:
        raise BadInput(f"the canaries of {stable.name} have {sum(shares)} % together; lower a trafficPercent")
    shares.insert(0, WHOLE_PERCENT - sum(shares))
    return tuple(
        Declared(service=service, stable=service is stable, percent=share)
        for service, share in zip(services, shares, strict=True)
    )


def with_revision(manifest: Manifest | None, candidate: Manifest) -> Manifest:
    """Add the candidate's revision in the dark; the first of all revisions becomes the stable one.

    Raises:
        BadInput: a revision of this name is there with another model; revisions never change.
    """
    wanted = service_of(candidate)
    if manifest is None:
        return candidate
    for one in declared(manifest):
        if one.service.revision == wanted.revision:
            if one.service != wanted:
                raise BadInput(
                    f"{wanted.name} has a revision {wanted.revision} from {one.service.storage_uri}; a revision never "
                    "changes, so give the new model a name of its own"
                )
            return manifest
    return _with(manifest, [*_canaries(manifest), _canary(candidate["spec"]["predictor"], 0, minimum=1)])


def with_share(manifest: Manifest, revision: str, percent: int) -> Manifest:
    """Give a canary a share of the requests, and replicas in proportion: never none, or it would not be ready.

    Raises:
        BadInput: no canary has this name, or the shares exceed 100 %.
    """
    _find(manifest, revision)
    minimum = max(1, math.ceil(_own_replicas(manifest) * percent / WHOLE_PERCENT))
    changed = _with(
        manifest,
        [
            _canary(one["predictor"], percent, minimum=minimum) if one["predictor"]["name"] == revision else one
            for one in _canaries(manifest)
        ],
    )
    declared(changed)
    return changed


def with_stable(manifest: Manifest, revision: str) -> Manifest:
    """Let a canary and the stable revision change places; the one that leaves stays warm with 0 %, before the others.

    Nothing else changes: KServe copies the annotations and labels of the whole to every pod, and would restart them.

    Raises:
        BadInput: no revision has this name. It must have been a canary, or its pods would be made too late.
    """
    stable = manifest["spec"]["predictor"]
    if stable["name"] == revision:
        return manifest
    chosen = _find(manifest, revision)["predictor"]
    place = {key: stable[key] for key in _OF_PLACE if key in stable}
    others = [one for one in _canaries(manifest) if one["predictor"]["name"] != revision]
    swapped = {**manifest, "spec": {**manifest["spec"], "predictor": _placed(chosen, place)}}
    return _with(swapped, [_canary(stable, 0, minimum=1), *others])


def without(manifest: Manifest, revision: str) -> Manifest:
    """Take a canary away; one that is not there is away already.

    Raises:
        BadInput: it is the stable revision, or it still has a share of the requests.
    """
    if manifest["spec"]["predictor"]["name"] == revision:
        raise BadInput(f"{revision} is the stable revision; promote another one before you drop it")
    for one in _canaries(manifest):
        if one["predictor"]["name"] == revision and _percent(one):
            raise BadInput(f"{revision} still gets {_percent(one)} % of the requests; shift them away first")
    return _with(manifest, [one for one in _canaries(manifest) if one["predictor"]["name"] != revision])


def with_uris(manifest: Manifest, change: Callable[[str], str]) -> Manifest:
    """Give each revision's storageUri as another one."""

    def changed(predictor: Mapping[str, Any]) -> dict[str, Any]:
        model = predictor["model"]
        return {**predictor, "model": {**model, "storageUri": change(model["storageUri"])}}

    moved = _with(manifest, [{**one, "predictor": changed(one["predictor"])} for one in _canaries(manifest)])
    return {**moved, "spec": {**moved["spec"], "predictor": changed(manifest["spec"]["predictor"])}}


def _canaries(manifest: Manifest) -> Sequence[Mapping[str, Any]]:
    listed = manifest["spec"].get("canary") or []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) and "predictor" in one for one in listed):
        raise BadInput("spec.canary must be a list of mappings with a predictor and its trafficPercent")
    return listed


def _percent(canary: Mapping[str, Any]) -> int:
    percent = canary.get("trafficPercent", 0)
    if not isinstance(percent, int) or not 0 <= percent <= WHOLE_PERCENT:
        raise BadInput(f"spec.canary.trafficPercent is {percent!r}; give a whole number from 0 to 100")
    return percent


def _own_replicas(manifest: Manifest) -> int:
    """Tell how many pods the stable revision has for itself: for KServe its minReplicas count the canaries' with it."""
    declared_minimum = int(manifest["spec"]["predictor"].get("minReplicas", 1))
    return max(1, declared_minimum - _replicas(_canaries(manifest)))


def _replicas(canaries: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(one["predictor"].get("minReplicas", 0)) for one in canaries)


def _find(manifest: Manifest, revision: str) -> Mapping[str, Any]:
    found = [one for one in _canaries(manifest) if one["predictor"]["name"] == revision]
    if not found:
        known = ", ".join(one.service.revision for one in declared(manifest))
        raise BadInput(
            f"{manifest['metadata']['name']} has no canary {revision!r} (there are {known}); deploy it first"
        )
    return found[0]


def _canary(predictor: Mapping[str, Any], percent: int, *, minimum: int) -> dict[str, Any]:
    return {"trafficPercent": percent, "predictor": _placed(predictor, {"minReplicas": minimum})}


def _placed(predictor: Mapping[str, Any], place: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in predictor.items() if key not in _OF_PLACE} | dict(place)


def _with(manifest: Manifest, canaries: Sequence[Mapping[str, Any]]) -> Manifest:
    """Change the canaries; the stable revision keeps the pods that it has for itself, so the way back starts none."""
    spec = {key: value for key, value in manifest["spec"].items() if key != "canary"}
    stable = spec["predictor"]
    if _replicas(canaries) != _replicas(_canaries(manifest)):
        minimum = _own_replicas(manifest) + _replicas(canaries)
        gain = minimum - int(stable.get("minReplicas", 1))
        most = {"maxReplicas": stable["maxReplicas"] + gain} if "maxReplicas" in stable else {}
        spec["predictor"] = {**stable, "minReplicas": minimum, **most}
    return {**manifest, "spec": {**spec, **({"canary": list(canaries)} if canaries else {})}}


def _alone(manifest: Manifest, predictor: Mapping[str, Any]) -> Manifest:
    return {**manifest, "spec": {"predictor": predictor}}
