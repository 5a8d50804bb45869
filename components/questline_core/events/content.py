"""Name the content of rows by a hash that neither their order nor the layout of their files changes."""

from __future__ import annotations

import json
from hashlib import sha256

import pyarrow as pa

_BITS = 256


def content_hash(rows: pa.Table) -> str:
    """Hash rows as a multiset: equal rows count, their order does not. 64 hexadecimal digits.

    Numbers are taken exactly, the columns by their names.
    """
    total = 0
    for batch in rows.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            text = json.dumps(row, sort_keys=True, default=str, separators=(",", ":"))
            total += int.from_bytes(sha256(text.encode()).digest())
    return f"{total % 2**_BITS:064x}"
