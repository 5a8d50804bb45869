"""What one call of a spend model costs in the serving process: TensorFlow's SavedModel beside its fast form."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from questline_core.features.online import NUMBERS, TEXTS
from questline_core.models.store import FAST
from questline_core.testing.spend_models import publish_random_model
from questline_kserve.version import Version, load_version

SIZES = (1, 8, 64)


def main() -> None:
    """Print the median of each form for calls of some sizes, and the ratio, which other work on the machine spares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        uri = publish_random_model(folder, store=name).uri
        golden = json.loads((folder / "model" / "golden.json").read_text())
        fast = load_version(uri)
        _drop_fast(Path(uri))
        plain = load_version(uri)
    for size in SIZES:
        columns = _columns(golden, size)
        before, after = _median(plain, columns, calls), _median(fast, columns, calls)
        print(f"{size:3} rows: SavedModel {before:7.1f} µs, ONNX {after:7.1f} µs, ratio {before / after:5.1f}")


def _drop_fast(version: Path) -> None:
    """Make the version one that was published without a fast form."""
    told = json.loads((version / "model.json").read_text(encoding="utf-8"))
    del told["files"][FAST]
    (version / "model.json").write_text(json.dumps(told), encoding="utf-8")
    (version / FAST).unlink()


def _columns(golden: list[dict[str, Any]], size: int) -> dict[str, Any]:
    rows = [golden[row % len(golden)]["inputs"] for row in range(size)]
    numbers = {name: np.array([row[name] for row in rows], np.float32) for name in NUMBERS}
    return numbers | {name: np.array([row[name].encode() for row in rows], object) for name in TEXTS}


def _median(version: Version, columns: dict[str, Any], calls: int) -> float:
    """Time calls as the serving process makes them, microseconds."""
    _repeat(lambda: version.predict(columns), calls // 10)
    return float(np.median(_repeat(lambda: version.predict(columns), calls)))


def _repeat(call: Callable[[], Any], calls: int) -> list[float]:
    times = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - began) / 1000)
    return times


if __name__ == "__main__":
    main()
