"""The whole server as a FastAPI application."""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.assistant.described import ModelFile, read_model
from vivavoce.core.errors import CapacityError, ConsentError, StorageError, VivavoceError, VoiceError
from vivavoce.runtime.engine import LiveEngine
from vivavoce.server import (
    character,
    chat,
    models,
    realtime,
    responses,
    secret_routes,
    speech,
    transcription,
    voice_routes,
    webrtc,
)
from vivavoce.server.names import UnknownModel
from vivavoce.server.problems import NotFound, Problem, problem_of
from vivavoce.server.replies import ERRORS, WARNING, error_body
from vivavoce.server.security import Denied
from vivavoce.server.service import Service
from vivavoce.server.settings import Settings

log = logging.getLogger(__name__)
WEB = Path(__file__).parent / "web"
SECRET_MAY = ("/v1/realtime/calls",)
FORMS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/voice_consents")
"""What takes a form and not JSON."""


HTTP_CODES = {400: "invalid_value", 404: "not_found", 405: "method_not_supported", 413: "too_large"}


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok", "draining"]
    rows: int
    free: int


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
            if _guarded(scope["path"]):
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
    """Says so when something breaks that nobody foresaw; the traceback goes to the log alone.

    An answer that has begun breaks off all the same, so that half of it never passes for a whole.
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


def _too_large(most: int) -> str:
    return f"A request may have {most} bytes at most."


class Described(FastAPI):
    """An application whose OpenAPI description says what `_operations` and `_errors` add to each route."""

    def openapi(self) -> dict[str, Any]:
        """The description: keys where they are asked for, 400 and not 422 for what is invalid."""
        if self.openapi_schema is None:
            schema = super().openapi()
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer", "description": "Where --api-key was given"}
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    if _guarded(path):
                        operation["security"] = [{"key": []}, {}]
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
        return super().openapi()


def _guarded(path: str) -> bool:
    return path.startswith("/v1/") or path == "/metrics"


def create_app(engine: LiveEngine, settings: Settings | None = None, described: ModelFile | None = None) -> FastAPI:
    """The application around an engine, which is stopped with it; ``described`` is the model whose character the page
    shows, the default one where left out."""
    service = Service.make(engine, settings or Settings())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await webrtc.close_all(service)
        engine.stop()
        service.voices.close()

    app = Described(
        title="vivavoce",
        version="1",
        summary="Speech to speech for OpenAI's clients",
        description="Live conversations are a WebSocket at `/v1/realtime`, which OpenAPI cannot describe: "
        "its events are in docs/realtime.md.",
        lifespan=lifespan,
        docs_url=None,  # these pages would load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    for module in (realtime, models, speech, transcription, chat, responses, voice_routes, secret_routes, webrtc):
        app.include_router(module.router(service))
    app.include_router(character.router(service, described or read_model("mini")))
    app.add_middleware(BodyLimit, most=service.settings.upload_bytes)  # first, so that it is nearest to what reads
    app.add_middleware(Breakdowns, service=service)
    app.add_middleware(Heads)
    app.add_middleware(Guard, service=service)
    _operations(app, service)
    if service.settings.origins:  # last, so that it is outermost: it answers preflights, which carry no key
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.settings.origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location", WARNING],
        )
    _errors(app, service)
    _page(app)
    return app


def _page(app: FastAPI) -> None:
    """One route for each file of the web page, so that nothing else is shadowed."""
    for file in sorted(path for path in WEB.rglob("*") if path.is_file()):
        name = file.relative_to(WEB).as_posix()
        place = "/" if name == "index.html" else f"/{name}"
        app.get(place, include_in_schema=False)(_file(file))


def _file(file: Path) -> Callable[[], FileResponse]:
    def serve() -> FileResponse:
        return FileResponse(file)

    return serve


def _allowed(app: FastAPI, path: str) -> str:
    """The methods that a path has, over all its routes."""
    methods: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(template)), path):
            methods |= {method.upper() for method in operations}
    return ", ".join(sorted(methods)) or "GET"


def _operations(app: FastAPI, service: Service) -> None:
    @app.get("/healthz", summary="Is the server alive", tags=["operations"])
    async def health() -> Health:
        """Whether it takes conversations, and how many more."""
        rows, taken = service.engine.rows, service.engine.taken
        return Health(status="draining" if service.draining else "ok", rows=rows, free=rows - taken)

    text = {200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    refusals = {status: ERRORS[status] for status in (401, 403, 429)}

    @app.get(
        "/metrics",
        summary="Prometheus counters",
        tags=["operations"],
        response_class=Response,
        responses={**refusals, **text},
    )
    async def metrics() -> Response:
        """All counters."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")


def _errors(app: FastAPI, service: Service) -> None:
    def answer(status: int, message: str, code: str | None, param: str | None = None) -> JSONResponse:
        service.metrics.errors.labels(code or str(status)).inc()
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return JSONResponse(error_body(message, code, param, kind), status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = error.errors()
        if errors[0]["type"] == "json_invalid":
            return answer(400, "The body is not JSON.", "invalid_json")
        given = request.headers.get("content-type", "").split(";")[0].strip().lower()
        wanted = "multipart/form-data" if request.url.path in FORMS else "application/json"
        kinds = ("multipart/form-data", "application/x-www-form-urlencoded") if request.url.path in FORMS else (wanted,)
        body_is_wrong = any(found["loc"][0] == "body" for found in errors)
        if body_is_wrong and given and given not in kinds:
            message = f"Send the body as {wanted}; '{given}' is not understood here."
            return answer(400, message, "unsupported_content_type", "body")
        inside = [found for found in errors if found["loc"][0] == "body" and len(found["loc"]) > 1]
        if not inside and body_is_wrong:
            missing = errors[0]["type"] == "missing"
            message = f"The 'body' is {'missing' if missing else 'no JSON object'}; send a JSON object."
            return answer(400, message, "missing_required_parameter" if missing else "invalid_type", "body")
        if not inside:  # the path or the query
            name = str(errors[0]["loc"][-1])
            return answer(400, f"Invalid value for '{name}': {errors[0]['msg']}.", "invalid_value", name)
        if "UploadFile" in inside[0]["msg"]:
            name = str(inside[0]["loc"][-1])
            return answer(400, f"Invalid value for '{name}': it is text; send a file.", "invalid_type", name)
        body = dict(error.body) if isinstance(error.body, FormData) else error.body
        found = problem_of([{**each, "loc": each["loc"][1:]} for each in inside], body)
        return answer(400, found.message, found.code, found.param or None)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return answer(404 if isinstance(error, NotFound) else 400, error.message, error.code, error.param)

    @app.exception_handler(UnknownModel)
    async def unknown(_: Request, error: UnknownModel) -> Response:
        return answer(404, str(error), "model_not_found", "model")

    @app.exception_handler(VivavoceError)
    async def ours(_: Request, error: VivavoceError) -> Response:
        if isinstance(error, CapacityError):
            return answer(503, str(error), "capacity")
        if isinstance(error, ConsentError):
            return answer(403, str(error), "consent_required", "consent")
        if isinstance(error, StorageError):
            return answer(507, str(error), "storage")
        return answer(400, str(error), "invalid_value", "voice" if isinstance(error, VoiceError) else None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        path, allowed = request.url.path, _allowed(app, request.url.path)
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        code, message = HTTP_CODES.get(error.status_code), str(error.detail)
        if error.status_code == 404:
            message = f"There is no {path} on this server; OpenAI's paths begin with /v1."
            if path == "/v1/realtime":
                message = "Live conversations are a WebSocket; connect to it with ws:// or wss://."
        elif error.status_code == 405:
            message = f"{request.method} is not possible at {path}; {allowed} is."
        response = answer(error.status_code, message, code)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = allowed
        return response
