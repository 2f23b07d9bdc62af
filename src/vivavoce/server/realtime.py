"""`/v1/realtime` over a WebSocket: reads events, writes events, and ends when either side is done."""

import asyncio
import contextlib
import json
import logging
import time
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from vivavoce.core.errors import CapacityError
from vivavoce.runtime.api import Input, Output, Respond, TurnEnded, TurnStarted
from vivavoce.runtime.seats import LiveSession
from vivavoce.server.event_maker import Events
from vivavoce.server.names import UnknownModel, check_model
from vivavoce.server.problems import NO_LIVE_SESSIONS, Problem
from vivavoce.server.protocol import Wire
from vivavoce.server.security import Bucket, Denied
from vivavoce.server.service import Service
from vivavoce.server.sessions import first_session, updated
from vivavoce.server.telling import SLOW_CLIENT_SECONDS, SlowClient, Telling
from vivavoce.server.wire.sessions import TranscriptionSession

log = logging.getLogger(__name__)
EXTENSION = "vivavoce.playback"


class Line:
    """One client whatever the transport: what it sends is counted and limited, what it is told is watched."""

    def __init__(self, service: Service, wire: Wire) -> None:
        """Rates begin to count."""
        self.service, self.wire = service, wire
        self._events = Bucket(service.settings.events_per_minute)
        self._responses = Bucket(service.settings.responses_per_minute)
        self._watch = service.metrics.watch()
        self._at_work: dict[int, contextlib.ExitStack] = {}
        wire.limits = self._limits

    def _limits(self) -> list[dict[str, Any]]:
        return [self._responses.limits("requests")]

    def take(self, payload: str | bytes) -> tuple[list[Input], Events]:
        """What a message asks for, as far as the rates allow it, and what is to be said at once."""
        now = time.monotonic()
        if not self._events.take(now):
            return [], [self.wire.error("Too many events; this one is lost.", "rate_limit_exceeded")]
        inputs, events = self.wire.receive(payload)
        if any(isinstance(event, Respond) for event in inputs) and not self._responses.take(now):
            return [], [*events, self.wire.error("Too many responses in a minute.", "rate_limit_exceeded")]
        return inputs, events

    def follow(self, output: Output) -> Events:
        """The events that say what happened; an answer counts as work until it has ended."""
        self._watch.see(output)
        if isinstance(output, TurnStarted):
            working = self._at_work[output.turn] = contextlib.ExitStack()
            working.enter_context(self.service.working())
        if isinstance(output, TurnEnded) and (working := self._at_work.pop(output.turn, None)):
            working.close()
        return self.wire.emit(output)

    async def hand(self, session: LiveSession, event: Input) -> Events:
        """Gives an input to the conversation; says so when it could not be taken."""
        try:
            await session.send(event)
        except CapacityError as error:
            return [self.wire.error(str(error), "input_backlog_full")]
        return []

    def count(self, events: Events) -> None:
        """Counts the errors among what is sent."""
        for event in events:
            if event["type"] == "error":
                self.service.metrics.errors.labels(event["error"]["code"]).inc()

    def close(self) -> None:
        """The client is gone: its unfinished answers no longer count as work."""
        for working in self._at_work.values():
            working.close()
        self._at_work.clear()


class Connection:
    """One client on a WebSocket."""

    def __init__(self, socket: WebSocket, line: Line) -> None:
        self._socket, self._line = socket, line
        self._settings = line.service.settings
        self._telling = Telling(socket)

    async def send(self, events: Events) -> None:
        """Writes events in their order; waits for the client, but not for ever."""
        self._line.count(events)
        await self._telling(events)

    async def hold(self, session: LiveSession) -> None:
        """The conversation, until one side ends it."""
        await self.send(self._line.wire.hello())
        tasks = [asyncio.create_task(self._read(session)), asyncio.create_task(self._write(session))]
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=self._settings.session_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                await self._farewell("The session has reached its maximum length; open another one.", "session_expired")
            for task in done:
                with contextlib.suppress(WebSocketDisconnect):
                    task.result()
        except TimeoutError:
            await self._farewell("Nothing was sent for too long.", "session_idle")
        except SlowClient:
            log.info("a client read nothing for %.0f s and was left", SLOW_CLIENT_SECONDS)
        finally:
            self._line.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _farewell(self, message: str, code: str) -> None:
        with contextlib.suppress(Exception):
            await self.send([self._line.wire.error(message, code)])
            await self._socket.close(1001, message)

    async def _read(self, session: LiveSession) -> None:
        while True:
            async with asyncio.timeout(self._settings.idle_seconds):
                message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            inputs, events = self._line.take(text if text is not None else message.get("bytes") or b"")
            await self.send(events)
            for event in inputs:
                await self.send(await self._line.hand(session, event))

    async def _write(self, session: LiveSession) -> None:
        async for output in session.events():
            await self.send(self._line.follow(output))


def make_wire(service: Service, settings: dict[str, Any], model: str, **more: Any) -> Wire:
    """The wire of a new connection; Problem or UnknownModel when it cannot be."""
    session = first_session(settings, service.ears)
    if not isinstance(session, TranscriptionSession):
        chosen = session.model or model
        session = updated(session, {"model": chosen}, service.ears)
        check_model(chosen, "realtime", service.minds)
    expires = int(time.time() + service.settings.session_seconds)
    choices: dict[str, Any] = {"voices": service.voice, "ears": service.ears, "minds": service.minds}
    return Wire(session, name=service.name(), expires_at=expires, **choices, **more)


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter()

    @routes.websocket("/v1/realtime")
    async def realtime(socket: WebSocket) -> None:
        """One conversation."""
        query, offered = socket.query_params, protocols(socket)
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
        connection = Connection(socket, Line(service, wire))
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
        """OpenAI's full-duplex sessions are another protocol than ours."""
        await refuse(socket, "not_supported", NO_LIVE_SESSIONS)

    return routes


def protocols(socket: WebSocket) -> list[str]:
    """The subprotocols that a client offers."""
    return [p.strip() for p in socket.headers.get("sec-websocket-protocol", "").split(",")]


async def refuse(socket: WebSocket, code: str, message: str) -> None:
    """Says why, in a way that every client shows, and closes."""
    kind = "server_error" if code == "capacity" else "invalid_request_error"
    await socket.accept(subprotocol="realtime" if "realtime" in protocols(socket) else None)
    error = {"type": kind, "code": code, "message": message, "param": None, "event_id": None}
    await socket.send_text(json.dumps({"type": "error", "event_id": "event_refused", "error": error}))
    await socket.close(1013 if code == "capacity" else 1008, message[:120])
