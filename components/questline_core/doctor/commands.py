"""`questline doctor`: look for known traps and say the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from questline_core.doctor.findings import Finding


def doctor(
    *,
    cluster: Annotated[bool, typer.Option(help="Look at the cluster of the present context, too.")] = False,
    context: Annotated[str | None, typer.Option(help="Another context of kubectl's configuration.")] = None,
    account: Annotated[
        str, typer.Option(metavar="NAMESPACE/NAME", help="The service account of pipeline steps.")
    ] = "kubeflow/pipeline-runner",
    project: Annotated[str | None, typer.Option(help="Look at this project of Google Cloud, too.")] = None,
) -> None:
    """Look for known traps of this machine, of a cluster, and of a project; exit code 1 when there is one."""
    from questline_core.doctor.findings import Verdict
    from questline_core.doctor.machine import examine_machine
    from questline_core.errors import BadInput, MissingExtra
    from questline_core.settings import PlatformSettings

    if "/" not in account:
        raise BadInput(f"{account!r} is no service account; give it as NAMESPACE/NAME")
    findings = list(examine_machine(PlatformSettings.read()))
    if cluster or context:
        try:
            from questline_core.doctor.cluster import examine_cluster
            from questline_core.models.cluster_api import client_of
        except ModuleNotFoundError as error:
            raise MissingExtra("looking at a cluster", "ingest") from error
        findings += examine_cluster(client_of(context), account=account)
    if project:
        from questline_core.doctor.project import connect, examine_project

        findings += examine_project(connect(), project)
    for finding in findings:
        _print(finding)
    if any(finding.verdict is Verdict.BAD for finding in findings):
        raise typer.Exit(1)


def _print(finding: Finding) -> None:
    print(f"{finding.verdict:8} {finding.check}: {finding.found}")
    if finding.fix:
        print(f"{'':8} {finding.fix}")
