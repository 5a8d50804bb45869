"""Tell what a change of a pipeline runs again: the steps whose cache key or place in the graph differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

Spec = Mapping[str, Any]
"""A compiled pipeline as nested mappings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one step."""

    step: str
    kind: str
    """`new`, `gone`, `changed`, `after a change`, `same`."""
    why: str = ""

    @property
    def runs_again(self) -> bool:
        """Tell whether equal inputs do not spare the step any more."""
        return self.kind in {"new", "changed", "after a change"}


def differences(old: Spec, new: Spec) -> list[Change]:
    """Compare two compiled pipelines step by step; names of executors, order and descriptions mean nothing.

    Returns:
        The steps of the new pipeline in the order of their names, and those that are gone.
    """
    before, after = dict(_steps(old)), dict(_steps(new))
    found = {name: _change(name, before.get(name), step) for name, step in after.items()}
    _spread(found, after)
    gone = [Change(step=name, kind="gone") for name in sorted(before.keys() - after.keys())]
    return [found[name] for name in sorted(found)] + gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    parts: Mapping[str, Any]
    """What enters the key of the cache, by a name that says what it is."""
    needs: frozenset[str]


def _change(name: str, old: _Step | None, new: _Step) -> Change:
    if old is None:
        return Change(step=name, kind="new")
    differs = [part for part in new.parts if old.parts[part] != new.parts[part]]
    return Change(step=name, kind="changed", why=", ".join(differs)) if differs else Change(step=name, kind="same")


def _spread(found: dict[str, Change], steps: Mapping[str, _Step]) -> None:
    """A step that reads from one that runs again may get other inputs."""
    moved = True
    while moved:
        moved = False
        for name, step in steps.items():
            sources = sorted(need for need in step.needs if need in found and found[need].runs_again)
            if found[name].kind == "same" and sources:
                found[name] = Change(step=name, kind="after a change", why=f"reads from {', '.join(sources)}")
                moved = True


def _steps(spec: Spec) -> Iterator[tuple[str, _Step]]:
    tasks = spec["root"]["dag"]["tasks"]
    graphs = dict(_graphs(spec, tasks))
    for name, step in _inside(spec, tasks, (), {}):
        yield name, replace(step, needs=frozenset(one for need in step.needs for one in graphs.get(need, (need,))))


def _graphs(spec: Spec, tasks: Mapping[str, Any]) -> Iterator[tuple[str, frozenset[str]]]:
    """Name the steps inside each graph, such as a loop, whose results the graph hands on."""
    for name, task in tasks.items():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            yield name, frozenset(step for step, _ in _inside(spec, component["dag"]["tasks"], (), {}))
            yield from _graphs(spec, component["dag"]["tasks"])


def _inside(
    spec: Spec, tasks: Mapping[str, Any], above: tuple[str, ...], handed: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, _Step]]:
    """Go through the steps of a graph; `handed` are the producers of what it gets from the graph around it."""
    for name, task in tasks.items():
        component = spec["components"][task["componentRef"]["name"]]
        needs = {one: frozenset(_producers(given, handed)) for one, given in _inputs(task).items()}
        if "dag" in component:
            condition = task.get("triggerPolicy", {}).get("condition", "")
            yield from _inside(spec, component["dag"]["tasks"], (*above, condition) if condition else above, needs)
        else:
            yield name, _step(spec, component, task, above, frozenset[str]().union(*needs.values()))


def _inputs(task: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given for group in task.get("inputs", {}).values() for name, given in group.items()}


def _step(
    spec: Spec, component: Mapping[str, Any], task: Mapping[str, Any], above: tuple[str, ...], needs: frozenset[str]
) -> _Step:
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]].get("container", {})
    return _Step(
        parts={
            "image": container.get("image"),
            "code": [container.get("command"), container.get("args")],
            "environment": container.get("env"),
            "resources": container.get("resources"),
            "arguments": task.get("inputs", {}),
            "declared inputs": _types(component.get("inputDefinitions", {})),
            "declared outputs": _types(component.get("outputDefinitions", {})),
            "condition": above,
            "caching": task.get("cachingOptions", {}),
            "retries": task.get("retryPolicy", {}),
        },
        needs=needs,
    )


def _types(definitions: Mapping[str, Any]) -> str:
    """Keep what is declared, without the prose."""
    plain = json.loads(json.dumps(definitions))
    for group in plain.values():
        for one in group.values():
            one.pop("description", None)
    return json.dumps(plain, sort_keys=True)


def _producers(given: Mapping[str, Any], handed: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """Name the steps that an input comes from."""
    for kind, value in given.items():
        if isinstance(value, Mapping) and "producerTask" in value:
            yield value["producerTask"]
        elif kind in {"componentInputParameter", "componentInputArtifact"}:
            yield from handed.get(value, ())
