"""`kubectl questline`: `questline revisions` on the cluster and in the namespace that kubectl works on."""

from __future__ import annotations

import sys

from questline_core.cli import run
from questline_core.ledger.commands import revisions


def main() -> None:
    """Run a sub-command of `questline revisions`, such as `kubectl questline list`."""
    run(revisions, "kubectl questline", [*_host(), *sys.argv[1:]])


def _host() -> list[str]:
    """Name the namespace of kubectl's context; nothing where there is no kubeconfig, so that help is still given."""
    from kubernetes import config  # noqa: PLC0415 - takes a second

    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException:
        return []
    return ["--host", f"kserve:{active['context'].get('namespace', 'default')}"]
