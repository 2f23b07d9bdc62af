"""Runs the server until it is told to stop; answers that are being made may finish."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from fastapi import FastAPI

from vivavoce.core.errors import StorageError
from vivavoce.server.service import Service
from vivavoce.server.settings import Settings
from vivavoce.server.wire.fields import MOST_EVENT_BYTES


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves us: large messages reach us so that we can say they are too large."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ws="websockets-sansio",
        ws_max_size=4 * MOST_EVENT_BYTES,
        ws_ping_interval=20,
        log_level="warning",
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


class Server(uvicorn.Server):
    """A server that drains before it goes."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready
        self._draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Says where it listens."""
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            self._ready(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second one ends at once."""
        if self._service.draining or sig == signal.SIGINT:
            super().handle_exit(sig, frame)
            return
        self._service.draining = True
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._service.settings.drain_seconds):
                if self._service.busy:
                    await self._service.quiet.wait()
        self.should_exit = True


def run(app: FastAPI, settings: Settings, ready: Callable[[str], None]) -> None:
    """Serves until a signal comes; ``ready`` is told the address."""
    server = Server(uvicorn_config(app, settings), app.state.service, ready)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise StorageError(f"Port {settings.port} of {settings.host} cannot be had; choose another one with --port.")
