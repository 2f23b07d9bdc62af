"""Models behind an address: where an OpenAI-compatible endpoint is, what its model is called, and its key.

A key comes from the environment, or from the file that the environment names; it goes to that address only.
"""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

from vivavoce.core.errors import ConfigError

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which a second attempt is worth it."""
_KEYLESS = frozenset({401, 403})
"""Answers to whoever has not the right key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """Where the model is, what it is called there, and how long it is waited for."""

    url: str
    """Up to and with ``/v1``."""
    model: str
    key: str = ""
    key_name: str = ""
    """The environment variable that the key belongs into."""
    patience_seconds: float = 30.0
    """For the connection, for the first piece, and between two pieces."""

    def __repr__(self) -> str:
        """Without the key."""
        return f"EndpointConfig({self.url}#{self.model})"


def is_address(choice: str) -> bool:
    """Whether a choice of a part means an endpoint."""
    return choice.startswith(("http://", "https://"))


def endpoint_of(place: str, patience_seconds: float = 30.0, *, what: str = "mind") -> EndpointConfig:
    """``http://HOST/v1#MODEL``; unnamed, the endpoint's only model. The key of a ``what`` is in VIVAVOCE_WHAT_KEY, or
    in the file that VIVAVOCE_WHAT_KEY_FILE names.

    Raises ConfigError for what is no such place.
    """
    url, _, model = place.partition("#")
    key_name = f"VIVAVOCE_{what.upper()}_KEY"
    if not _is_place(url):
        raise ConfigError(f"{place} is no address of a {what}; wanted http://HOST:PORT/v1#MODEL")
    if "@" in urllib.parse.urlsplit(url).netloc:
        raise ConfigError(
            f"a {what}'s address holds no names and passwords, as it is shown; a key goes into {key_name}"
        )
    config = EndpointConfig(
        url=url.rstrip("/"), model=model, key=_key(key_name), key_name=key_name, patience_seconds=patience_seconds
    )
    if model:
        return config
    try:
        with urllib.request.urlopen(request_of(config, "models"), timeout=patience_seconds) as answer:
            known = [str(entry["id"]) for entry in json.loads(answer.read())["data"]]
    except urllib.error.HTTPError as error:
        advice = "" if error.code in _KEYLESS else f"; it does not say which models it has, give one: {url}#MODEL"
        raise ConfigError(f"{refused(config, error)}{advice}") from error
    except OSError as error:
        raise ConfigError(unreached(config, error)) from error
    except (HTTPException, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{url} does not say which models it has ({why(error)}); give one: {url}#MODEL") from error
    if len(known) != 1:
        raise ConfigError(f"{url} has {len(known)} models ({', '.join(known[:8])}); give one: {url}#MODEL")
    return replace(config, model=known[0])


def _is_place(url: str) -> bool:
    """Whether something can be asked for there."""
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in url
    except ValueError:  # a port that is none
        return False


def _key(name: str) -> str:
    """The key from the environment, or from the file that it names; ConfigError for what cannot be sent as one."""
    path = os.environ.get(f"{name}_FILE")
    key = _text_of(path, name) if path else os.environ.get(name, "").strip()
    if not key.isascii() or not key.isprintable():  # the error of the header would print it
        where = f"the file {path} ({name}_FILE)" if path else name
        raise ConfigError(f"{where} holds no key: one is a single line of ASCII characters")
    return key


def _text_of(path: str, name: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {path} ({name}_FILE) cannot be read: {why(error)}") from error


def why(error: BaseException) -> str:
    """What an error of the network says."""
    inner = getattr(error, "reason", None) or error
    return str(getattr(inner, "strerror", None) or inner or type(error).__name__)


def unreached(config: EndpointConfig, error: BaseException) -> str:
    """That nobody answers there, why, and what can be done."""
    return f"{config.url} is not reached ({why(error)}); begin that server, or correct the address"


def request_of(config: EndpointConfig, path: str, body: Any = None) -> urllib.request.Request:
    """A request to the endpoint; the key stays behind where it is sent on to another address."""
    headers = {"User-Agent": "vivavoce", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{config.url}/{path}", data=data, headers=headers)
    if config.key:
        request.add_unredirected_header("Authorization", f"Bearer {config.key}")
    return request


def refused(config: EndpointConfig, error: urllib.error.HTTPError) -> str:
    """What the endpoint says where it answers with an error, and what can be done."""
    try:
        said = json.loads(error.read(10_000))
        reason = said["error"] if "error" in said else said["detail"]
    except (OSError, ValueError, KeyError, TypeError):
        reason = error.reason
    what = "correct" if config.key else "set"
    advice = f"; {what} {config.key_name}" if error.code in _KEYLESS and config.key_name else ""
    return f"{config.url} refused ({error.code}: {without_key(config, reason)}){advice}"


def without_key(config: EndpointConfig, reason: Any) -> str:
    """What an endpoint says of an error, in short and without the key, which some repeat."""
    text = str(reason["message"] if isinstance(reason, dict) and "message" in reason else reason)
    return (text.replace(config.key, "…") if config.key else text)[:200]
