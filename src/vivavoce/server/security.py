"""Who may use the server: keys, short-lived secrets, web origins and rates."""

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from vivavoce.server.settings import LOCAL, Settings

KEY_PROTOCOL = "openai-insecure-api-key."


class Denied(Exception):
    """A request that may not be served."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Secret:
    """A key for browsers that ends by itself, with the session it opens."""

    value: str
    expires_at: int
    session: dict[str, Any]


@dataclass(slots=True)
class Bucket:
    """So many a minute, a burst of them at once."""

    per_minute: int
    left: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        """Full at first."""
        self.left = float(self.per_minute)

    def take(self, now: float) -> bool:
        """Whether one more is allowed."""
        self._fill(now)
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def owe(self, now: float) -> float:
        """Takes one more in any case, for whoever waits instead; gives the seconds to wait."""
        self._fill(now)
        self.left -= 1
        return max(0.0, -self.left * 60 / self.per_minute)

    def _fill(self, now: float) -> None:
        if self.at is not None:
            self.left = min(float(self.per_minute), self.left + (now - self.at) * self.per_minute / 60)
        self.at = now

    def limits(self, name: str) -> dict[str, Any]:
        """As the wire says it."""
        missing = self.per_minute - self.left
        return {
            "name": name,
            "limit": self.per_minute,
            "remaining": int(self.left),
            "reset_seconds": round(60 * missing / self.per_minute, 3),
        }


class Gate:
    """Checks every caller."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970."""
        self._settings, self._clock = settings, clock
        self._secrets: OrderedDict[str, Secret] = OrderedDict()
        self._callers: OrderedDict[str, Bucket] = OrderedDict()

    def issue(self, seconds: int, session: dict[str, Any]) -> Secret:
        """A new secret; the oldest are forgotten when there are too many."""
        secret = Secret(f"ek_{secrets.token_hex(24)}", int(self._clock()) + seconds, session)
        self._secrets[secret.value] = secret
        while len(self._secrets) > self._settings.secrets_kept:
            self._secrets.popitem(last=False)
        return secret

    def check(self, headers: Mapping[str, str], caller: str = "", *, secret_allowed: bool = True) -> Secret | None:
        """Raises Denied, or says which secret the caller came with, if it was one."""
        self._check_origin(headers)
        self._check_rate(caller)
        token = _token(headers)
        if token.startswith("ek_"):
            secret = self._secrets.get(token)
            if secret is None or secret.expires_at < self._clock():
                self._secrets.pop(token, None)
                raise Denied(401, "invalid_api_key", "The client secret is unknown or has expired; create another one.")
            if not secret_allowed:
                raise Denied(
                    401, "invalid_api_key", "A client secret opens realtime sessions only; use an API key here."
                )
            return secret
        keys = self._settings.api_keys
        if keys and not any(hmac.compare_digest(token.encode(), key.encode()) for key in keys):
            raise Denied(401, "invalid_api_key", "An API key is needed: send 'Authorization: Bearer KEY'.")
        return None

    def _check_rate(self, caller: str) -> None:
        bucket = self._callers.setdefault(caller, Bucket(self._settings.requests_per_minute))
        self._callers.move_to_end(caller)
        while len(self._callers) > 10_000:
            self._callers.popitem(last=False)
        if not bucket.take(self._clock()):
            raise Denied(429, "rate_limit_exceeded", "Too many requests in a minute; wait a little.")

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        """A page of another site must not use a server that listens on this machine."""
        host = headers.get("host", "")
        name = _split(f"//{host}").hostname or ""
        if self._settings.host in LOCAL and name not in (*LOCAL, "testserver"):
            raise Denied(403, "forbidden_host", f"This server answers to localhost only, not to '{name}'.")
        origin = headers.get("origin")
        if origin and origin not in self._settings.origins and _split(origin).netloc != host:
            raise Denied(403, "forbidden_origin", f"Pages of '{origin}' may not connect; allow it with --origin.")


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Denied(403, "forbidden_host", f"'{address.lstrip('/')}' is no address.") from error


def _token(headers: Mapping[str, str]) -> str:
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith("bearer "):
        return authorization[7:].strip()
    for protocol in headers.get("sec-websocket-protocol", "").split(","):
        if protocol.strip().startswith(KEY_PROTOCOL):
            return protocol.strip()[len(KEY_PROTOCOL) :]
    return ""
