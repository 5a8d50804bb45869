"""Note run: what became of a run is written down and told, whatever it was."""

from kfp import dsl

from questline_components.image import component


@component()
def note_run(status: dsl.PipelineTaskFinalStatus, pipeline: str, warehouse: str, notify: str = "") -> None:
    """Write the outcome of the run that ends with this step into the warehouse, and post it to an address."""
    from questline_core.ledger.runs import Ended, note_end

    run, error = status.pipeline_job_resource_name, status.error_message or ""
    note_end(Ended(run=run, pipeline=pipeline, state=status.state, error=error), warehouse=warehouse, notify=notify)
