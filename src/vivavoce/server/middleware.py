"""What every request passes through: who may call, how much may be sent, what is said when something breaks."""

import logging

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.core.errors import VivavoceError
from vivavoce.server.replies import error_body
from vivavoce.server.security import Denied
from vivavoce.server.service import Service

log = logging.getLogger(__name__)
SECRET_MAY = ("/v1/realtime/calls",)


class BodyLimit:
    """Counts the bytes of requests that do not say their length, and ends those that have too many."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets everything pass up to the limit."""
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if scope["type"] == "http" and taken > self._most:
                raise HTTPException(413, _too_large(self._most))
            return message

        await self._app(scope, counted, send)


class Guard:
    """Checks callers and sizes before anything is read.

    Plain ASGI: the middleware that Starlette makes of a function would end a stream that broke as if it were whole.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets through who may pass, with the secret they came with; all others are told why not."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers, service = Headers(scope=scope), self._service
        try:
            if guarded(scope["path"]):
                caller = scope["client"][0] if scope.get("client") else ""
                secret = service.gate.check(headers, caller, secret_allowed=scope["path"] in SECRET_MAY)
                scope.setdefault("state", {})["secret"] = secret
            length = headers.get("content-length", "0")
            if length.isdigit() and int(length) > service.settings.upload_bytes:
                raise Denied(413, "too_large", _too_large(service.settings.upload_bytes))
        except Denied as denied:
            service.metrics.errors.labels(denied.code).inc()
            refusal = JSONResponse(error_body(denied.message, denied.code), denied.status)
            return await refusal(scope, receive, send)
        await self._app(scope, receive, send)


class Breakdowns:
    """Answers unexpected errors with a message; the traceback goes to the log alone. An answer that has begun is broken
    off, so that half of it never passes for a whole; where it is known why, the log has a sentence.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets everything pass that works."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if begun and scope["type"] == "http" and isinstance(error.__cause__, VivavoceError):
                log.warning("%s %s broke off: %s", scope["method"], scope["path"], error.__cause__)
                return  # the server underneath closes a connection whose answer is not whole
            if begun or scope["type"] != "http":
                raise
            log.exception("%s %s broke", scope["method"], scope["path"])
            self._service.metrics.errors.labels("server_error").inc()
            message = f"The server failed ({type(error).__name__}); ask again."
            body = error_body(message, "server_error", kind="server_error")
            await JSONResponse(body, 500)(scope, receive, send)


class Heads:
    """Answers HEAD as GET is answered, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets everything else pass."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            return await self._app(scope, receive, send)

        async def silent(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, silent)


def guarded(path: str) -> bool:
    """Whether a path asks for a key."""
    return path.startswith("/v1/") or path == "/metrics"


def _too_large(most: int) -> str:
    return f"A request may have {most} bytes at most."
