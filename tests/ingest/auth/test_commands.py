"""The commands that call a gateway, against one that asks for a key and speaks TLS."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from questline_core.testing.memory_broker import MemoryBroker
from questline_ingest.auth import Keys
from questline_ingest.settings import GatewaySettings
from questline_ingest.testing import serving, serving_all

ROW = '{"event_name": "level_up", "event_timestamp": "1528754400000000", "user_pseudo_id": "ann", "event_date": "20180611"}'


async def run(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", "from questline_core.cli import main; main()", *command.split()],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_commands_show_the_key_and_trust_the_authority_that_the_environment_names(
    settings: GatewaySettings, broker: MemoryBroker, certify: Callable[[], tuple[Path, Path]], tmp_path: Path
) -> None:
    (certificate, key), keys = certify(), Keys(tmp_path / "keys.json")
    (_, text), export = keys.create("game"), tmp_path / "export.ndjson"
    export.write_text(ROW + "\n")
    closed = {"tls_certificate": certificate, "tls_key": key, "keys": keys.path}
    async with serving(settings.model_copy(update=closed), broker) as address:
        at = f"--address localhost:{address.rpartition(':')[2]}"
        shown = {"QUESTLINE_CA": str(certificate), "QUESTLINE_API_KEY": text}
        for command in (
            f"gateway ask --player ann {at}",
            f"load --rate 5 --duration 1 --players 5 {at}",
            f"simulate --players 1 --days 1 --title game --send {at}",
            f"events import {export} {at}",
        ):
            before = len(broker.published)
            told = await run(command, **shown)
            assert told.returncode == 0, (command, told.stderr)
            assert len(broker.published) > before, (command, told.stdout)
        refused = await run(f"gateway ask --player ann {at}", **shown | {"QUESTLINE_API_KEY": ""})

    assert refused.returncode == 1
    assert "needs a valid API key" in refused.stderr


async def test_who_sends_with_the_key_of_another_title_hears_that_all_is_rejected(
    settings: GatewaySettings, broker: MemoryBroker, tmp_path: Path
) -> None:
    keys = Keys(tmp_path / "keys.json")
    _, text = keys.create("chess")
    closed = settings.model_copy(update={"keys": keys.path, "http_listen": "127.0.0.1:0"})
    load = "load --rate 5 --duration 1 --players 5 --title flood"
    async with serving_all(closed, broker) as at:
        for command in (
            f"simulate --players 1 --days 1 --title flood --json --send --address {at.grpc}",
            f"{load} --address {at.grpc}",
            f"{load} --stream --address {at.grpc}",
            f"{load} --http --address {at.http}",
        ):
            told = await run(command, QUESTLINE_API_KEY=text)
            assert told.returncode == 1, command
            assert re.fullmatch(
                r"questline: \d+ events were rejected; the first one: the key is of another title; .*; `questline rejects list` .*\n",
                told.stderr,
            ), (command, told.stderr)


@pytest.mark.parametrize("setting", ["QUESTLINE_CA", "QUESTLINE_TLS"])
async def test_who_reaches_nobody_hears_of_the_settings_for_tls(setting: str) -> None:
    told = await run("gateway ask --player ann --address 127.0.0.1:9")

    assert told.returncode == 1
    assert setting in told.stderr
