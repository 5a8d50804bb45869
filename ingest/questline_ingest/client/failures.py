"""What a call that failed says of itself: that it was too large, or when to come again."""

from __future__ import annotations

import grpc

from questline_ingest.status import PUSHBACK

_IN_GRPC_S_WORDS = "larger than max"


def is_too_large(error: grpc.RpcError) -> bool:
    """Tell whether a gateway let the call in no further than its limit of bytes; a part of it may pass."""
    return error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and _IN_GRPC_S_WORDS in (error.details() or "")


def pushback_s(error: grpc.RpcError) -> float:
    """Read how long the gateway asks to wait, in seconds; 0 when it does not say."""
    for item in error.trailing_metadata() or ():
        if item.key == PUSHBACK and str(item.value).isdecimal():
            return int(item.value) / 1000
    return 0.0
