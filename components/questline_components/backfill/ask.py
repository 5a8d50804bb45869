"""Ask: what a backfill by Dataflow is told, checked before machines are started for it."""

from questline_components.image import component


@component()
def ask(warehouse: str, days: str, archive: str, title: str, skip_broken: bool) -> dict[str, str]:
    """Return the parameters of the Flex Template `questline-backfill`; days that are none are refused here."""
    from questline_core.events.days import days_named

    days_named(days)
    asked = {"warehouse_url": warehouse, "days": days, "archive": archive, "title": title}
    return {name: value for name, value in asked.items() if value} | {"skip_broken": str(skip_broken).lower()}
