"""Let the lookup of churn be served, and check that it answers with what was published."""

from __future__ import annotations

import math
import time
from typing import Any

import pyarrow as pa

from questline_core.errors import NotReady
from questline_core.lookup import UNKNOWN
from questline_core.lookup.publish import Terms
from questline_core.models.manifests import LOOKUP, lookup_service
from questline_core.models.port import ModelHost
from questline_core.models.rollout import AnswersDiffer, infer

NAME = "churn"
"""Of the InferenceService."""
_NOBODY = "a player whom nobody knows"
_ASKED = 100
_NEAR = 1e-6  # the lookup keeps a probability as a 32-bit float


def serve(host: ModelHost, uri: str, generation: str, *, patience_s: float = 60.0) -> str:
    """Declare the service and wait until it answers from a generation, which is given back.

    Raises:
        NotReady: it does not answer, or answered from other generations for all this time.
    """
    host.apply(lookup_service(NAME, LOOKUP, uri))
    deadline = time.monotonic() + patience_s
    while True:
        status = host.status(NAME)
        if status.message:
            raise NotReady(f"the lookup does not answer: {status.message}")
        if status.ready and ask(host, [_NOBODY])[0]["generation"] == generation:
            return generation
        if time.monotonic() > deadline:
            if not status.ready:
                waits = next((one.waits_for for one in status.revisions if one.stable), "")
                raise NotReady(f"the lookup is not ready after {patience_s:g} s: {waits or 'it loads still'}")
            raise NotReady(
                f"the lookup does not answer from {generation} after {patience_s:g} s; see the log of the serving "
                "process, which refuses generations that are damaged or signed with another key"
            )
        time.sleep(0.2)


def ask(host: ModelHost, players: list[str]) -> list[dict[str, Any]]:
    """Ask the served lookup: one answer a player, with probability, predicted_churned, source, reasons, generation.

    Raises:
        NotReady: nothing answers.
    """
    answer = infer(host.status(NAME).rest_url, NAME, [{"user_pseudo_id": player} for player in players])
    columns = {one["name"]: one["data"] for one in answer["outputs"]}
    return [{name: data[row] for name, data in columns.items()} for row in range(len(players))]


def verify(host: ModelHost, rows: pa.Table, terms: Terms, generation: str) -> int:
    """Compare the answers for the first players of the scores, and for one who is in none; tell how many were asked.

    Raises:
        AnswersDiffer: an answer is not what was published.
        NotReady: nothing answers.
    """
    known = rows.slice(0, _ASKED).to_pylist()
    expected = [(row["user_pseudo_id"], row["probability"], row["source"]) for row in known]
    expected.append((_NOBODY, terms.prior, UNKNOWN))
    answers = ask(host, [player for player, _, _ in expected])
    for (player, probability, source), told in zip(expected, answers, strict=True):
        same = math.isclose(told["probability"], probability, abs_tol=_NEAR)
        if not same or told["source"] != source or told["generation"] != generation:
            raise AnswersDiffer(generation, f"{player} has {told}, and was published with {probability} ({source})")
    return len(expected)
