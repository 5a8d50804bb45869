"""The secret of erasure is drawn once, kept from others, and never replaced in silence."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from questline_core.errors import BadInput
from questline_core.privacy.key import PrivacyKey, open_key
from questline_core.settings import PlatformSettings


def test_the_key_is_drawn_once_and_only_its_owner_may_read_it(settings: PlatformSettings) -> None:
    first = open_key(settings)

    assert open_key(settings) == first
    assert stat.S_IMODE(settings.privacy_key_file.stat().st_mode) == 0o600
    assert [path.name for path in settings.paths.privacy.iterdir()] == ["key"]


def test_processes_that_draw_at_once_agree(tmp_path: Path) -> None:
    code = (
        "from questline_core.privacy.key import open_key; from questline_core.settings import PlatformSettings; import sys\n"
        "print(open_key(PlatformSettings(home=sys.argv[1])).of_player('p'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    assert len({process.communicate(timeout=60)[0] for process in processes}) == 1


def test_a_player_is_known_by_a_hash_that_another_key_does_not_give(key: PrivacyKey) -> None:
    other = PrivacyKey(b"x" * 32)

    assert key.of_player("p1") == key.of_player("p1")
    assert len({key.of_player("p1"), key.of_player("p2"), other.of_player("p1")}) == 3
    assert key.of_player("p1") != key.signature(b"p1")


@pytest.mark.parametrize("content", ["", "short", "not hexadecimal" * 8])
def test_a_file_that_holds_no_key_is_refused_and_stays(settings: PlatformSettings, content: str) -> None:
    settings.paths.privacy.mkdir(parents=True)
    settings.privacy_key_file.write_text(content)
    settings.privacy_key_file.chmod(0o600)

    with pytest.raises(BadInput, match="holds no privacy key"):
        open_key(settings)
    assert settings.privacy_key_file.read_text() == content


def test_a_key_that_everybody_can_read_is_refused(settings: PlatformSettings) -> None:
    open_key(settings)
    settings.privacy_key_file.chmod(0o644)

    with pytest.raises(BadInput, match="chmod 600"):
        open_key(settings)
