"""Check a model version before and after it is rolled out: the one to beat, and answers as they were in training."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from questline_core import places
from questline_core.errors import NotReady, QuestlineError
from questline_core.models.store import ModelVersion, versions

TOLERANCE = 1e-6
"""How far a served number may be from training's: relative to it, and absolute near zero."""
ASK_TIMEOUT_S = 30.0

Golden = Mapping[str, Mapping[str, Any]]
"""A request that training kept: `inputs` by name, and the `outputs` that the trained model gave."""


class AnswersDiffer(QuestlineError):
    """Raised when what is served does not answer as the trained model did."""

    def __init__(self, revision: str, why: str) -> None:
        super().__init__(f"{revision} does not answer as it did in training: {why}")
        self.revision, self.why = revision, why


def champion(store: str, name: str, training: Mapping[str, Any]) -> ModelVersion | None:
    """Find the published version that a new model has to beat: the newest one that another training made.

    A training is known by what entered it, so one that is run again is not measured against its own result.

    Args:
        store: root of the model store.
        name: the model.
        training: everything that decides how the new model comes out; the same names are in a version's lineage.
    """
    for version in reversed(versions(store, name)):
        lineage = version.metadata["lineage"]
        if any(lineage.get(key) != value for key, value in training.items()):
            return version
    return None


def verify(golden: Sequence[Golden], *, rest_url: str, name: str, revision: str, by_name: bool = False) -> int:
    """Ask the served model the golden requests of its training and return how many answers were compared.

    Args:
        golden: the requests, and the answers of training.
        rest_url: where the model is served.
        name: the model.
        revision: who has to answer.
        by_name: ask for the revision by its name, as one in the dark must be; else it has to be the one that serves.

    Raises:
        AnswersDiffer: another revision answered, or a number is further than `TOLERANCE` from training's.
        NotReady: nothing answers at this address.
    """
    answer = infer(rest_url, name, [one["inputs"] for one in golden], revision=revision if by_name else "")
    served = answer.get("model_version")
    if served != revision:
        raise AnswersDiffer(revision, f"{served or 'a model without a revision'} answered in its place")
    columns = {one["name"]: one["data"] for one in answer["outputs"]}
    for row, expected in enumerate(golden):
        for output, number in expected["outputs"].items():
            _compare(revision, f"golden request {row}, {output}", number, columns.get(output, ())[row:])
    return len(golden)


def _compare(revision: str, what: str, expected: float, served: Sequence[float]) -> None:
    if not served:
        raise AnswersDiffer(revision, f"{what} is missing")
    if not math.isclose(served[0], expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
        raise AnswersDiffer(revision, f"{what} is {served[0]!r} and was {expected!r}")


def read_golden(version: str | Path) -> list[Golden]:
    """Read the golden requests of a model version's folder, which may be in a bucket."""
    golden: list[Golden] = json.loads(places.read(f"{version}/golden.json"))
    return golden


def infer(rest_url: str, name: str, rows: Sequence[Mapping[str, Any]], *, revision: str = "") -> dict[str, Any]:
    """Ask a served model by the V2 REST protocol, one tensor for each named input; a revision is asked by its name.

    Raises:
        NotReady: nothing answers at this address, or it answers with an error.
    """
    version = f"/versions/{revision}" if revision else ""
    url = f"{rest_url.rstrip('/')}/v2/models/{name}{version}/infer"
    columns = {column: None for row in rows for column in row}
    body = json.dumps({"inputs": [tensor(column, [row.get(column) for row in rows]) for column in columns]})
    request = Request(url, body.encode(), {"Content-Type": "application/json"})  # noqa: S310 - the host's own address
    try:
        with urlopen(request, timeout=ASK_TIMEOUT_S) as response:  # noqa: S310 - as above
            answer: dict[str, Any] = json.load(response)
    except HTTPError as error:
        raise NotReady(f"{url} answers {error.code}: {error.read().decode(errors='replace')[:300]}") from None
    except (OSError, HTTPException) as error:
        raise NotReady(f"{url} does not answer ({error}); is `questline serving run` running?") from None
    return answer


def tensor(name: str, values: Iterable[float | str | None]) -> dict[str, Any]:
    """Make the V2 tensor of one input: text is BYTES, numbers are FP32, what is missing is "" or NaN."""
    data = list(values)
    text = any(isinstance(value, str) for value in data)
    missing = "" if text else math.nan
    told = [missing if value is None else value for value in data]
    return {"name": name, "shape": [len(data)], "datatype": "BYTES" if text else "FP32", "data": told}
