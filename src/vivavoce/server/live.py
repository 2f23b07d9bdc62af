"""``/v1/live``: sound all the time in both directions over a WebSocket, without turns; docs/live.md is the format.

What is behind it either hears and speaks at once (a duplex model), or takes turns; then its answers are played here, on
the clock of the client's microphone.
"""

import asyncio
import contextlib
import logging
import time

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.websockets import WebSocketState

from vivavoce.core.errors import CapacityError
from vivavoce.runtime.api import Framed
from vivavoce.runtime.frames import AnswerFrames
from vivavoce.runtime.model import FRAME, RATE
from vivavoce.runtime.seats import LiveSession
from vivavoce.server.live_wire import LiveWire, Messages, Served
from vivavoce.server.names import OURS
from vivavoce.server.realtime import protocols, refuse
from vivavoce.server.security import Bucket, Denied
from vivavoce.server.service import Service
from vivavoce.server.telling import SLOW_CLIENT_SECONDS, SlowClient, Telling

log = logging.getLogger(__name__)
AHEAD = 2 * RATE
"""Samples that may wait to be heard; the client's next message is read when there are fewer."""


def served_by(service: Service) -> Served:
    """What the endpoint offers: the duplex model if there is one, else the model that takes turns."""
    if service.duplex is not None:
        timing = service.duplex.model.timing
        return Served(model=service.duplex_name, duplex=True, frame=timing.hop, delay=timing.lookahead)
    return Served(model=OURS, duplex=False, frame=FRAME, ears=service.ears, voices=service.voice)


class LiveConnection:
    """One client."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._service, self._settings = socket, service, service.settings
        expires = int(time.time() + self._settings.session_seconds)
        self._wire = LiveWire(service.name(), served_by(service), expires)
        self._telling = Telling(socket)
        self._events = Bucket(self._settings.events_per_minute)
        self._watch = service.metrics.watch()
        self._heard = asyncio.Event()

    async def _tell(self, messages: Messages) -> None:
        for message in messages:
            if isinstance(message, dict) and message["type"] == "error":
                self._service.metrics.errors.labels(message["error"]["code"]).inc()
        await self._telling(messages)

    async def hold(self) -> None:
        """From the first message until one side ends it."""
        wire, settings = self._wire, self._settings
        answer: Messages = []
        try:
            async with asyncio.timeout(settings.session_seconds):
                while wire.config is None:
                    if (message := await self._next()) is None:
                        return
                    answer = wire.receive(message)[1]
                    if wire.config is None:
                        await self._tell(answer)
                async with self._service.session(wire.config, live=True) as session:
                    await self._tell(answer)
                    await self._converse(session)
        except CapacityError as error:
            await self._farewell(str(error), "capacity", 1013)
        except _Idle:
            await self._farewell("Nothing was sent for too long.", "session_idle", 1001)
        except TimeoutError:
            await self._farewell("The session has reached its maximum length; open another.", "session_expired", 1001)
        except SlowClient:
            log.info("a client read nothing for %.0f s and was left", SLOW_CLIENT_SECONDS)

    async def _converse(self, session: LiveSession) -> None:
        tasks = [asyncio.create_task(self._read(session)), asyncio.create_task(self._write(session))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                with contextlib.suppress(WebSocketDisconnect):
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _farewell(self, message: str, code: str, status: int) -> None:
        with contextlib.suppress(Exception):
            await self._tell([self._wire.error(message, code), self._wire.farewell(code)])
            await self._socket.close(status, message[:120])

    async def _next(self) -> str | bytes | None:
        """The client's next message, as fast as the rates allow; None when it is gone."""
        try:
            async with asyncio.timeout(self._settings.idle_seconds):
                message = await self._socket.receive()
        except TimeoutError as error:
            raise _Idle from error
        await asyncio.sleep(self._events.owe(time.monotonic()))  # nothing of a stream may be lost: it waits
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def _read(self, session: LiveSession) -> None:
        while (message := await self._next()) is not None:
            if self._wire.closing:
                continue
            inputs, messages = self._wire.receive(message)
            await self._tell(messages)
            for event in inputs:
                while session.backlog > AHEAD:
                    self._heard.clear()
                    await self._heard.wait()
                await session.send(event)
            if self._wire.over:
                return

    async def _write(self, session: LiveSession) -> None:
        answers = None if self._service.duplex is not None else AnswerFrames(session.push)
        async for output in session.events():
            self._watch.see(output)
            if isinstance(output, Framed):
                self._heard.set()
            await self._tell(self._wire.emit(answers.follow(output) if answers else output))
            if self._wire.over:
                return


class _Idle(Exception):
    """A client sent nothing for too long."""


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter()

    @routes.websocket("/v1/live")
    async def live(socket: WebSocket) -> None:
        """One stream."""
        try:
            service.gate.check(socket.headers, socket.client.host if socket.client else "")
        except Denied as denied:
            return await refuse(socket, denied.code, denied.message)
        offered = protocols(socket)
        await socket.accept(subprotocol="live" if "live" in offered else None)
        service.metrics.sessions.inc()
        try:
            await LiveConnection(socket, service).hold()
        finally:
            service.metrics.sessions.dec()
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may go at this moment
                await socket.close()

    return routes
