"""A home with players in it, and the act of forgetting one."""

from __future__ import annotations

from pathlib import Path

import pytest

from questline_core.privacy.key import PrivacyKey, open_key
from questline_core.settings import PlatformSettings


@pytest.fixture
def settings(tmp_path: Path) -> PlatformSettings:
    return PlatformSettings(home=tmp_path / "home")


@pytest.fixture
def key(settings: PlatformSettings) -> PrivacyKey:
    return open_key(settings)
