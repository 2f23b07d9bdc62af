"""`/v1/realtime` over a WebSocket: reads events, writes events, and ends when either side is done."""

import asyncio
import contextlib
import json
import time
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from vivavoce.core.errors import CapacityError
from vivavoce.runtime.api import Respond, TurnEnded, TurnStarted
from vivavoce.runtime.engine import LiveSession
from vivavoce.server.names import UnknownModel, check_model
from vivavoce.server.protocol import Wire
from vivavoce.server.security import Bucket, Denied
from vivavoce.server.service import Service
from vivavoce.server.sessions import first_session, updated
from vivavoce.server.wire import Problem, TranscriptionSession

EXTENSION = "vivavoce.playback"
SLOW_CLIENT_SECONDS = 30.0


class Connection:
    """One client on a WebSocket."""

    def __init__(self, socket: WebSocket, service: Service, wire: Wire) -> None:
        self._socket, self._service, self.wire = socket, service, wire
        self._sending = asyncio.Lock()
        self._events = Bucket(service.settings.events_per_minute)
        self._responses = Bucket(service.settings.responses_per_minute)
        self._watch = service.metrics.watch()
        self._at_work: dict[int, contextlib.ExitStack] = {}

    def limits(self) -> list[dict[str, Any]]:
        """For rate_limits.updated."""
        return [self._responses.limits("requests")]

    async def send(self, events: list[dict[str, Any]]) -> None:
        """Writes events in their order; waits for the client, but not for ever."""
        if not events:
            return
        async with self._sending, asyncio.timeout(SLOW_CLIENT_SECONDS):
            for event in events:
                await self._socket.send_text(json.dumps(event))

    async def hold(self, session: LiveSession) -> None:
        """The conversation, until one side ends it."""
        await self.send(self.wire.hello())
        tasks = [asyncio.create_task(self._read(session)), asyncio.create_task(self._write(session))]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=self._service.settings.session_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                await self._farewell("The session has reached its maximum length; open another one.", "session_expired")
            for task in done:
                with contextlib.suppress(WebSocketDisconnect):
                    task.result()
        except TimeoutError:
            await self._farewell("Nothing was sent for too long.", "session_idle")
        finally:
            for working in self._at_work.values():
                working.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _farewell(self, message: str, code: str) -> None:
        with contextlib.suppress(Exception):
            await self.send([self.wire.error(message, code)])
            await self._socket.close(1001, message)

    async def _read(self, session: LiveSession) -> None:
        while True:
            async with asyncio.timeout(self._service.settings.idle_seconds):
                message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            payload = text if text is not None else message.get("bytes") or b""
            if not self._events.take(time.monotonic()):
                await self.send([self.wire.error("Too many events; this one is lost.", "rate_limit_exceeded")])
                continue
            inputs, events = self.wire.receive(payload)
            await self.send(events)
            for event in inputs:
                if isinstance(event, Respond) and not self._responses.take(time.monotonic()):
                    await self.send([self.wire.error("Too many responses in a minute.", "rate_limit_exceeded")])
                    continue
                try:
                    await session.send(event)
                except CapacityError as error:
                    await self.send([self.wire.error(str(error), "input_backlog_full")])

    async def _write(self, session: LiveSession) -> None:
        async for output in session.events():
            self._watch.see(output)
            if isinstance(output, TurnStarted):
                working = self._at_work[output.turn] = contextlib.ExitStack()
                working.enter_context(self._service.working())
            await self.send(self.wire.emit(output))
            if isinstance(output, TurnEnded) and (working := self._at_work.pop(output.turn, None)):
                working.close()


def make_wire(service: Service, settings: dict[str, Any], model: str, **more: Any) -> Wire:
    """The wire of a new connection; Problem or UnknownModel when it cannot be."""
    session = first_session(settings)
    if not isinstance(session, TranscriptionSession):
        chosen = session.model or model
        session = updated(session, {"model": chosen})
        check_model(chosen, "realtime")
    expires = int(time.time() + service.settings.session_seconds)
    return Wire(session, name=service.name(), voices=service.voices.find, expires_at=expires, **more)


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter()

    @routes.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        """One conversation."""
        query, offered = socket.query_params, _protocols(socket)
        try:
            secret = service.gate.check(socket.headers, socket.client.host if socket.client else "")
            settings = dict(secret.session) if secret else {}
            if query.get("intent") == "transcription" and not settings:
                settings = {"type": "transcription"}
            if "call_id" in query:
                raise Denied(404, "not_supported", "Calls cannot be joined from the side on this server.")
            wire = make_wire(service, settings, query.get("model") or "gpt-realtime", extension=EXTENSION in offered)
        except Denied as denied:
            return await refuse(socket, denied.code, denied.message)
        except UnknownModel as unknown:
            return await refuse(socket, "model_not_found", str(unknown))
        except Problem as problem:
            return await refuse(socket, problem.code, problem.message)
        connection = Connection(socket, service, wire)
        wire.limits = connection.limits
        try:
            async with service.session(wire.config) as session:
                await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
                service.metrics.sessions.inc()
                try:
                    await connection.hold(session)
                finally:
                    service.metrics.sessions.dec()
        except CapacityError as error:
            service.metrics.errors.labels("capacity").inc()
            await refuse(socket, "capacity", str(error))
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError):
                await socket.close()

    @routes.websocket("/v1/live/sessions")
    async def live(socket: WebSocket) -> None:
        """Full-duplex sessions are another protocol."""
        await refuse(socket, "not_supported", "/v1/live is not supported by this server; use /v1/realtime.")

    return routes


def _protocols(socket: WebSocket) -> list[str]:
    return [p.strip() for p in socket.headers.get("sec-websocket-protocol", "").split(",")]


async def refuse(socket: WebSocket, code: str, message: str) -> None:
    """Says why, in a way that every client shows, and closes."""
    kind = "server_error" if code == "capacity" else "invalid_request_error"
    await socket.accept(subprotocol="realtime" if "realtime" in _protocols(socket) else None)
    error = {"type": kind, "code": code, "message": message, "param": None, "event_id": None}
    await socket.send_text(json.dumps({"type": "error", "event_id": "event_refused", "error": error}))
    await socket.close(1013 if code == "capacity" else 1008, message[:120])
