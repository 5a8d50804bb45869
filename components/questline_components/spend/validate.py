"""Validate: stop a run whose examples are not fit to learn from, and say what is wrong with them."""

from kfp import dsl

from questline_components.image import component


@component()
def validate(
    examples: dsl.Input[dsl.Dataset],
    champion: str,
    report: dsl.Output[dsl.HTML],
    override: str = "",
) -> int:
    """Return how many oddities were found, if the examples keep the rules and are like those of the champion."""
    from pathlib import Path

    from questline_core.models.store import load
    from questline_core.monitoring.profile import Profile
    from questline_core.pages import browsable
    from questline_core.validation.examples import BadExamples, validate
    from questline_core.validation.page import write_page

    last = Profile.read(load(champion).folder) if champion else None
    found = validate(Path(examples.path), last=last, override=override)
    write_page(Path(report.path), found)
    if found.stops:
        raise BadExamples(found, browsable(Path(report.path)))
    report.metadata["odd"] = [str(finding) for finding in found.findings]
    return len(found.findings)
