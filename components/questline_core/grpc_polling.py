"""Let gRPC poll by itself: without its event engine it hands a message to Python over one thread less."""

from __future__ import annotations

import os


def let_grpc_poll() -> None:
    """Choose for this process and those that it starts, unless the user has; must come before gRPC is imported."""
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener,-event_engine_client")
