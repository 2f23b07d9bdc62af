"""`/v1/realtime/client_secrets`: short-lived keys for browsers, and what is said to those who want more than there
is."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from vivavoce.server.beta import modern_settings
from vivavoce.server.problems import NO_LIVE_SESSIONS, Problem, refuse_unsupported
from vivavoce.server.realtime import make_wire
from vivavoce.server.replies import ERRORS, NEVER
from vivavoce.server.service import Service


class ExpiresAfter(BaseModel):
    """When the secret ends."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(default=600, ge=10, le=7200)


class SecretRequest(BaseModel):
    """A secret and the session that it opens."""

    expires_after: ExpiresAfter = ExpiresAfter()
    session: dict[str, Any] | None = Field(default=None, description="As in session.update")


class SecretObject(BaseModel):
    """The secret; it opens sessions until it expires."""

    value: str
    expires_at: int
    session: dict[str, Any]


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1", tags=["realtime"], responses=ERRORS)

    @routes.post("/realtime/client_secrets", summary="A short-lived key for a browser")
    async def client_secrets(request: SecretRequest) -> SecretObject:
        """With the settings of the session it will open; what is wrong with them is said now."""
        settings = modern_settings(request.session or {})
        refuse_unsupported({"session": settings})
        wire = make_wire(service, settings, "gpt-realtime")
        secret = service.gate.issue(request.expires_after.seconds, settings)
        session = wire.session_object(wire.session) | {"expires_at": secret.expires_at}
        return SecretObject(value=secret.value, expires_at=secret.expires_at, session=session)

    @routes.post("/realtime/sessions", summary="The beta's way to a short-lived key")
    async def sessions(request: dict[str, Any]) -> dict[str, Any]:
        """As client_secrets, with the names of the beta."""
        made = await client_secrets(SecretRequest(session=request))
        return made.session | {"client_secret": {"value": made.value, "expires_at": made.expires_at}}

    @routes.post("/realtime/transcription_sessions", summary="The beta's way to a key for listening only")
    async def transcription_sessions(request: dict[str, Any]) -> dict[str, Any]:
        """As sessions, for a transcription session."""
        return await sessions({"type": "transcription", **request})

    @routes.post("/realtime/translations/client_secrets", **NEVER)
    async def translations() -> None:
        """There is no translation."""
        raise Problem("Translation sessions are not supported by this server.", "not_supported")

    @routes.post("/live/sessions", **NEVER)
    async def live() -> None:
        """There are none of OpenAI's live sessions; `/v1/live` is our own."""
        raise Problem(NO_LIVE_SESSIONS, "not_supported")

    return routes
