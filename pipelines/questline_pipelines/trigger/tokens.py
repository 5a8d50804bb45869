"""Let in only Pub/Sub: check the OIDC token of a push by the issuer's keys, its audience and its account."""

from __future__ import annotations

from typing import Any

import jwt

from questline_core.errors import BadInput, NotReady, QuestlineError
from questline_pipelines.trigger.settings import TriggerSettings

_LEEWAY_S = 30
_KEYS_LIVE_S = 3600


class Refused(QuestlineError):
    """Raised when a push does not come from the identity that may push."""


class Doorkeeper:
    """Checks tokens; the issuer's keys are fetched once an hour, and when a token names a key that is not known."""

    def __init__(self, settings: TriggerSettings) -> None:
        """Take the audience, the account and the issuer from the settings.

        Raises:
            BadInput: an audience is set and no account: then any Google account could start runs.
        """
        if settings.trigger_audience and not settings.trigger_account:
            raise BadInput("QUESTLINE_TRIGGER_AUDIENCE needs QUESTLINE_TRIGGER_ACCOUNT: the identity that may push")
        self._settings = settings
        self._keys = jwt.PyJWKClient(settings.trigger_keys, lifespan=_KEYS_LIVE_S, timeout=10)

    def check(self, authorization: str) -> None:
        """Check the header of a push.

        Raises:
            Refused: there is no token, or it is not what it must be.
            NotReady: the issuer's keys cannot be fetched.
        """
        settings = self._settings
        if not settings.trigger_audience:
            raise Refused("this trigger takes no pushes; set QUESTLINE_TRIGGER_AUDIENCE and QUESTLINE_TRIGGER_ACCOUNT")
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Refused("the push brings no bearer token")
        claims = self._claims(token)
        if claims.get("email") != settings.trigger_account or claims.get("email_verified") is not True:
            raise Refused(f"the token is of {claims.get('email')!r}, which may not push")

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._keys.get_signing_key_from_jwt(token).key,
                algorithms=["RS256"],
                audience=self._settings.trigger_audience,
                issuer=self._settings.trigger_issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss"]},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise NotReady(f"the keys at {self._settings.trigger_keys} cannot be fetched: {error}") from None
        except jwt.PyJWTError as error:
            raise Refused(f"the token is not good: {error}") from None
