"""Remake: whole days of events are those of the archive."""

from kfp import dsl

from questline_components.image import component


@component()
def remake(  # noqa: PLR0913, PLR0917 - a step is told where everything is
    warehouse: str, days: str, archive: str, title: str, skip_broken: bool, remade: dsl.Output[dsl.Artifact]
) -> int:
    """Put the events of an archive, all in memory at once, in place of days of telemetry.events; return the rows."""
    from dataclasses import asdict

    from questline_core.events.archive import gather
    from questline_core.events.days import days_named
    from questline_core.events.remake import Gathered, replace_days
    from questline_core.settings import PlatformSettings

    settings = PlatformSettings.read(warehouse=warehouse, title=title or None)
    found = gather(archive.split(), Gathered.of(days_named(days)), title=settings.title)
    reports = replace_days(settings, found, skip_broken=skip_broken)
    remade.metadata |= {str(report.day): asdict(report) | {"day": str(report.day)} for report in reports}
    return sum(report.rows for report in reports)
