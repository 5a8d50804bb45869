"""Export: the scores as CSV files, with the columns of the published export."""

from kfp import dsl

from questline_components.image import component


@component()
def export_csv(warehouse: str, scores: dsl.Input[dsl.Dataset], csv: str) -> str:
    """Put the scores into the warehouse, let it export them, and return where the files are."""
    from contextlib import closing

    import pyarrow as pa

    from questline_core.churn.release import export_csv
    from questline_core.lookup.exported import read_export
    from questline_core.warehouse.port import open_warehouse

    batches, terms = read_export(scores.path)
    with closing(open_warehouse(warehouse)) as opened:
        export_csv(opened, pa.Table.from_batches(batches), terms, csv)
    return csv
