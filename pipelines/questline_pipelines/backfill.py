"""The backfill: days of events made anew from the archive, by Dataflow on Google Cloud or by a step of our own.

Both ways apply the same rules to the same files, so they give the same rows. Google's components launch Dataflow.
"""

from google_cloud_pipeline_components.v1.dataflow import DataflowFlexTemplateJobOp
from google_cloud_pipeline_components.v1.wait_gcp_resources import WaitGcpResourcesOp
from kfp import dsl

from questline_components.backfill.ask import ask
from questline_components.backfill.remake import remake


@dsl.pipeline(name="backfill")
def backfill(  # noqa: PLR0913, PLR0917 - a run is told where everything is
    warehouse: str,
    days: str,
    archive: str,
    title: str = "",
    skip_broken: bool = False,
    template: str = "",
    project: str = "",
    region: str = "",
    temp: str = "",
    account: str = "",
    subnetwork: str = "",
    machine_type: str = "n2d-highmem-4",
) -> None:
    """Put the events of an archive in place of whole days of telemetry.events.

    Args:
        warehouse: address of the warehouse.
        days: YYYY-MM-DD or FIRST..LAST, with spaces between.
        archive: files or URLs of the archive, with spaces between; * is known. They hold all that came for the days.
        title: for events that bring none.
        skip_broken: leave out what is no event; otherwise nothing is replaced then.
        template: gs:// address of the Flex Template `questline-backfill`; without it a step does the work.
        project: project of the Dataflow job; this and the rest are for Dataflow only.
        region: of its workers.
        temp: gs:// folder for its temporary files.
        account: e-mail address of the workers' identity.
        subnetwork: of the workers, which have private addresses.
        machine_type: of the workers; the rows of a day fit into the memory of one.
    """
    given = {"warehouse": warehouse, "days": days, "archive": archive, "title": title, "skip_broken": skip_broken}
    with dsl.If(template != "", name="by Dataflow"):
        asked = ask(**given).set_caching_options(False)
        launched = DataflowFlexTemplateJobOp(
            container_spec_gcs_path=template,
            parameters=asked.output,
            project=project,
            location=region,
            temp_location=temp,
            staging_location=temp,
            service_account_email=account,
            subnetwork=subnetwork,
            ip_configuration="WORKER_IP_PRIVATE",
            machine_type=machine_type,
        ).set_caching_options(False)
        WaitGcpResourcesOp(gcp_resources=launched.outputs["gcp_resources"]).set_caching_options(False)
    with dsl.Else(name="by a step"):
        remake(**given).set_caching_options(False)
