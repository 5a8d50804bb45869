"""Only the identity that may push is let in."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from questline_core.errors import BadInput, NotReady
from questline_pipelines.trigger.tokens import Doorkeeper, Refused


@pytest.fixture
def door(issuer: Any, game: Any) -> Doorkeeper:
    return Doorkeeper(issuer.settings(game))


def test_a_good_token_is_let_in_and_the_keys_are_fetched_once(door: Doorkeeper, issuer: Any) -> None:
    for _ in range(3):
        door.check(f"Bearer {issuer.token()}")

    assert issuer.fetched == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://another.example"},
        {"iss": "https://accounts.evil.example"},
        {"email": "somebody@project.iam.gserviceaccount.com"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"exp": int(time.time()) - 3600},
    ],
)
def test_a_token_with_one_wrong_claim_is_refused(door: Doorkeeper, issuer: Any, claims: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        door.check(f"Bearer {issuer.token(**claims)}")


@pytest.mark.parametrize("header", ["", "Bearer ", "Basic dTpw", "Bearer not.a.token"])
def test_a_push_without_a_token_is_refused(door: Doorkeeper, header: str) -> None:
    with pytest.raises(Refused):
        door.check(header)


def test_a_token_that_another_key_signed_is_refused(door: Doorkeeper, issuer: Any) -> None:
    forged = jwt.encode(
        jwt.decode(issuer.token(), options={"verify_signature": False}),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "RS256",
        {"kid": "first"},
    )
    unsigned = jwt.encode(jwt.decode(forged, options={"verify_signature": False}), "", "none", {"kid": "first"})

    for token in (forged, unsigned):
        with pytest.raises(Refused):
            door.check(f"Bearer {token}")


def test_a_key_that_is_new_is_fetched(door: Doorkeeper, issuer: Any) -> None:
    door.check(f"Bearer {issuer.token()}")
    issuer.add("second")
    with pytest.raises(Refused):  # strangers with made-up keys cannot make it fetch again and again
        door.check(f"Bearer {issuer.token('second')}")
    assert issuer.fetched == 1

    door._keys.cooldown_duration = 0

    door.check(f"Bearer {issuer.token('second')}")
    assert issuer.fetched == 2


def test_keys_that_cannot_be_fetched_let_the_push_come_again(game: Any, issuer: Any) -> None:
    settings = issuer.settings(game).model_copy(update={"trigger_keys": "http://127.0.0.1:9/certs"})

    with pytest.raises(NotReady, match="cannot be fetched"):
        Doorkeeper(settings).check(f"Bearer {issuer.token()}")


def test_without_an_audience_nobody_is_let_in_and_with_one_an_account_is_needed(game: Any, issuer: Any) -> None:
    with pytest.raises(Refused, match="QUESTLINE_TRIGGER_AUDIENCE"):
        Doorkeeper(game.settings()).check(f"Bearer {issuer.token()}")
    with pytest.raises(BadInput, match="QUESTLINE_TRIGGER_ACCOUNT"):
        Doorkeeper(game.settings(trigger_audience="https://trigger.example"))
