"""`kubectl questline`: `questline revisions` on the cluster and in the namespace that kubectl works on."""

from __future__ import annotations

import sys

from questline_core.errors import QuestlineError
from questline_core.ledger.commands import revisions


def main() -> None:
    """Run a sub-command of `questline revisions`, such as `kubectl questline list`."""
    try:
        revisions([*_host(), *sys.argv[1:]], prog_name="kubectl questline")
    except QuestlineError as error:
        print(f"kubectl questline: {error}", file=sys.stderr)  # noqa: T201 - what a person reads
        sys.exit(1)


def _host() -> list[str]:
    """Name the namespace of kubectl's context; nothing where there is no kubeconfig, so that help is still given."""
    from kubernetes import config  # noqa: PLC0415 - takes a second

    try:
        _, active = config.list_kube_config_contexts()
    except config.ConfigException:
        return []
    return ["--host", f"kserve:{active['context'].get('namespace', 'default')}"]
