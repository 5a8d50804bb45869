"""A home with a warehouse, a starter that remembers, and an issuer of tokens with a real key on the loopback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from questline_core.errors import NotReady
from questline_core.testing.event_tables import DAY, MONDAY, an_event, fill
from questline_core.testing.http_server import Handler, serving
from questline_core.warehouse.port import open_warehouse
from questline_pipelines.trigger.desk import Desk
from questline_pipelines.trigger.drift import DriftWatch
from questline_pipelines.trigger.ledger import Ledger
from questline_pipelines.trigger.settings import TriggerSettings
from questline_pipelines.trigger.starter import DONE, RUNNING, Learned

AUDIENCE, ACCOUNT = "https://trigger.example/push", "pusher@project.iam.gserviceaccount.com"


@dataclass
class Remembering:
    """Starts nothing, and remembers what it was asked for."""

    started: list[Mapping[str, Any]] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    broken: bool = False
    by_hand: Learned | None = None

    def start(self, pipeline: str, parameters: Mapping[str, Any]) -> str:
        if self.broken:
            raise NotReady("nobody answers")
        self.started.append(parameters)
        name = f"{pipeline}-{len(self.started)}"
        self.outcomes[name] = RUNNING
        return name

    def running(self, pipeline: str) -> str:
        going = (name for name, outcome in self.outcomes.items() if outcome == RUNNING)
        return next((name for name in going if name.startswith(pipeline)), "")

    def outcome(self, run: str) -> str:
        return self.outcomes[run]

    def learned(self, pipeline: str) -> Learned | None:
        del pipeline
        return self.by_hand

    def end(self, outcome: str = DONE) -> None:
        self.outcomes = dict.fromkeys(self.outcomes, outcome)


@dataclass
class Game:
    """Players whose events go into the warehouse of a home."""

    home: Path
    at: int = MONDAY

    def settings(self, **more: object) -> TriggerSettings:
        given = {"trigger_debounce_s": 0, "trigger_labels": 30, "trigger_load_rows": 10_000}
        return TriggerSettings.read(home=self.home, **(given | more))

    def play(self, players: int, *, name: str = "screen_view", received_now: bool = False, times: int = 1) -> None:
        """Let each player do something on the next day, and one of them come back when that day's labels are due."""
        self.at += DAY
        events = [
            an_event(f"p{player}", self.at + 1_000_000 * time, name)
            for player in range(players)
            for time in range(times)
        ]
        last = an_event("p0", self.at + DAY + 1_000_000 * times)
        for event in (*events, last):
            event.received_time = int(time.time() * 1e6) if received_now else 0
        with closing(open_warehouse(self.settings().warehouse_url)) as warehouse:
            fill(warehouse, (*events, last))


@pytest.fixture
def game(tmp_path: Path) -> Game:
    return Game(tmp_path)


@pytest.fixture
def starter() -> Remembering:
    return Remembering()


MakeDesk = Callable[..., Desk]


@pytest.fixture
def desk(game: Game, starter: Remembering) -> Iterator[MakeDesk]:
    with closing(Ledger(game.home / "ledger.db")) as ledger:
        yield lambda **more: Desk(game.settings(**more), ledger, starter, dict, DriftWatch(every_s=0))


@dataclass
class Issuer:
    """Signs tokens, and serves the public keys that it signs with."""

    url: str = ""
    fetched: int = 0
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)

    def add(self, name: str) -> rsa.RSAPrivateKey:
        self.keys[name] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self.keys[name]

    def token(self, key: str = "first", **claims: Any) -> str:
        now = int(time.time())
        good = {
            "iss": "https://issuer.example", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True,
            "iat": now, "exp": now + 600,
        }  # fmt: skip
        return jwt.encode(good | claims, self.keys[key], "RS256", {"kid": key})

    def settings(self, game: Game, **more: object) -> TriggerSettings:
        return game.settings(
            trigger_audience=AUDIENCE,
            trigger_account=ACCOUNT,
            trigger_issuer="https://issuer.example",
            trigger_keys=self.url,
            **more,
        )


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    made.add("first")

    class Keys(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the name that the library calls
            made.fetched += 1
            public = {name: key.public_key() for name, key in made.keys.items()}
            keys = [
                RSAAlgorithm.to_jwk(key, as_dict=True) | {"kid": name, "use": "sig", "alg": "RS256"}
                for name, key in public.items()
            ]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": keys}).encode())

    with serving(Keys) as url:
        made.url = f"{url}/certs"
        yield made
