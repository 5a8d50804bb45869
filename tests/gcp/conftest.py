"""A real project of Google Cloud, in a dataset of its own that is deleted at the end: `make test-gcp PROJECT=…`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from questline_core.testing.bigquery.dataset import CloudBench

PROJECT = os.environ.get("QUESTLINE_GCP_PROJECT", "")
"""PROJECT or PROJECT/LOCATION."""
NO_PROJECT = "needs a project of Google Cloud: make test-gcp PROJECT=my-project"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not PROJECT and "gcp" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=NO_PROJECT))


@pytest.fixture
def bench() -> Iterator[CloudBench]:
    dataset = f"questline_test_{secrets.token_hex(6)}"
    with ExitStack() as opened:
        running = CloudBench(f"bigquery:{PROJECT}", dataset, opened)
        yield running
        jobs = running.open().inner._jobs
        jobs.client.delete_dataset(f"{jobs.client.project}.{dataset}", delete_contents=True, not_found_ok=True)
