"""The original's churn request: POST /user with one id, answered with four texts."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from questline_core.errors import BadInput, NotReady
from questline_core.lookup import Generation, Score
from questline_kserve.lookup.fresh import lookups
from questline_kserve.lookup.served import PLAYER
from questline_kserve.repository import Repository

_OUTCOMES = {None: "", False: "0", True: "1"}


def add_user_route(app: FastAPI, repository: Repository) -> None:
    """Answer POST /user from the lookup named churn, or else from the only one."""

    async def user(request: Request) -> JSONResponse:
        player = _player(await request.body())
        served = lookups(repository)
        lookup = served.get("churn") or next(iter(served.values()), None)
        if lookup is None:
            raise NotReady("no lookup is served; apply an InferenceService with the model format lookup")
        generation = lookup.generation
        return JSONResponse(_answer(player, generation.get(player), generation))

    app.add_api_route("/user", user, methods=["POST"])


def _player(body: bytes) -> str:
    try:
        asked: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"the request is not JSON: {error}") from None
    player = asked.get(PLAYER) if isinstance(asked, dict) else None
    if not isinstance(player, str) or not player:
        raise BadInput(f'the request must be {{"{PLAYER}": "…"}} with the id of a player')
    return player


def _answer(player: str, score: Score, generation: Generation) -> dict[str, str]:
    """Give the original's four texts, where `churned` is empty while it is not decided, and where the score is from."""
    return {
        PLAYER: player,
        "churned": _OUTCOMES[score.churned],
        "predicted_churned": _OUTCOMES[score.probability >= generation.told.threshold],
        "probability_churned": f"{score.probability:.9g}",
        "source": score.source,
        "generation": generation.told.generation,
    }
