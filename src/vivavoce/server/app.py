"""The whole server as a FastAPI application."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse
from pydantic import BaseModel

from vivavoce.assistant.described import ModelFile, read_model
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.engine import LiveEngine
from vivavoce.server import (
    character,
    chat,
    consent_routes,
    live,
    models,
    realtime,
    refusals,
    responses,
    secret_routes,
    speech,
    transcription,
    voice_routes,
    webrtc,
)
from vivavoce.server.middleware import BodyLimit, Breakdowns, Guard, Heads, guarded
from vivavoce.server.replies import ERRORS, WARNING
from vivavoce.server.service import Service
from vivavoce.server.settings import Settings

WEB = Path(__file__).parent / "web"


class Health(BaseModel):
    """Whether the server takes conversations, and how many rows it has."""

    status: Literal["ok", "draining"]
    rows: int
    free: int


class Described(FastAPI):
    """An application whose OpenAPI description says what `_operations` and `refusals` add to each route."""

    def openapi(self) -> dict[str, Any]:
        """The description: keys where they are asked for, 400 and not 422 for what is invalid."""
        if self.openapi_schema is None:
            schema = super().openapi()
            schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
            schemes["key"] = {"type": "http", "scheme": "bearer", "description": "Where --api-key was given"}
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    if guarded(path):
                        operation["security"] = [{"key": []}, {}]
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
        return super().openapi()


def create_app(
    engine: LiveEngine,
    settings: Settings | None = None,
    described: ModelFile | None = None,
    duplex: DuplexEngine | None = None,
    duplex_name: str = "",
) -> FastAPI:
    """The application around an engine, which is stopped with it; ``described`` is the model whose character the page
    shows, the default one where left out. A ``duplex`` engine with a model of this name serves `/v1/live`."""
    service = Service.make(engine, settings or Settings(), duplex, duplex_name)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await webrtc.close_all(service)
        engine.stop()
        if duplex is not None:
            duplex.stop()
        service.voices.close()

    app = Described(
        title="vivavoce",
        version="1",
        summary="Speech to speech for OpenAI's clients",
        description="Live conversations are a WebSocket at `/v1/realtime`, which OpenAPI cannot describe: "
        "its events are in docs/realtime.md. So is a stream of sound without turns at `/v1/live`: docs/live.md.",
        lifespan=lifespan,
        docs_url=None,  # these pages would load their scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    for module in (
        realtime,
        live,
        models,
        speech,
        transcription,
        chat,
        responses,
        voice_routes,
        consent_routes,
        secret_routes,
        webrtc,
    ):
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
    refusals.add(app, service)
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
