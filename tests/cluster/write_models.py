"""Write the models that the tests serve into a folder of the node: tiny ones, and a trained one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from questline_core.models.store import latest
from questline_core.testing.spend_models import publish_random_model
from questline_kserve.testing.versions import SPEND_INPUTS, write_bad_version, write_version


def write(folder: Path) -> None:
    """Write `spend/v1`, `spend/v2`, `spend/bad`, and a version of `trained/spend`, each if it is not there."""
    store, trained = folder / "spend", str(folder / "trained")
    for number in (1, 2):
        if not (store / f"v{number}").exists():
            write_version(store / f"v{number}", scale=float(number), inputs=SPEND_INPUTS)
    if not (store / "bad").exists():
        write_bad_version(store / "bad", like=store / "v1")
    if latest(trained, "spend") is None:
        with tempfile.TemporaryDirectory() as aside:
            publish_random_model(Path(aside), store=trained)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
