"""Train: fit one of the three models of churn, in the warehouse."""

from questline_components.image import component


@component()
def train(warehouse: str, kind: str, version: str) -> str:
    """Train the model by its statement of BigQuery ML and return its name."""
    from contextlib import closing

    from questline_core.churn.models import name_of, train
    from questline_core.warehouse.port import open_warehouse

    with closing(open_warehouse(warehouse)) as opened:
        train(opened, kind, version=version)
    return name_of(kind, version)
