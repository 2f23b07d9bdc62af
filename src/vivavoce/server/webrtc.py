"""`/v1/realtime/calls`: the same conversation over WebRTC, with sound as Opus and events on a data channel.

Here the playback is ours: we send at the pace of a loudspeaker, know which sample was played, pause when somebody
may be interrupting, and cut history ourselves.
"""

import asyncio
import contextlib
import fractions
import json
import logging
import time
from typing import Any

from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.runtime.api import AudioIn, AudioOut, Input, Paused, Played, Resumed, Silenced, Stop, TurnEnded
from vivavoce.runtime.model import RATE
from vivavoce.runtime.player import Player
from vivavoce.runtime.seats import LiveSession
from vivavoce.server.beta import modern_settings
from vivavoce.server.problems import NotFound, Problem, refuse_unsupported
from vivavoce.server.protocol import Wire
from vivavoce.server.realtime import Line, make_wire
from vivavoce.server.replies import ERRORS, NEVER
from vivavoce.server.service import Service

log = logging.getLogger(__name__)
TICK = RATE // 50
MOST_BUFFERED = 1 << 20
MOST_EARLY = 1000
"""Events that wait for the channel to open."""
FAREWELL_SECONDS = 2.0


class Loudspeaker(MediaStreamTrack):
    """The track that plays our answers, 20 ms at a time."""

    kind = "audio"

    def __init__(self, player: Player) -> None:
        super().__init__()
        self._player = player
        self._started: float | None = None
        self._ticks = 0

    async def recv(self) -> AudioFrame:
        """The next 20 ms."""
        now = time.monotonic()
        self._started = self._started if self._started is not None else now
        self._ticks += 1
        await asyncio.sleep(max(0.0, self._started + self._ticks * TICK / RATE - now))
        frame = AudioFrame.from_ndarray(to_int16(self._player.next(TICK))[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._ticks * TICK, fractions.Fraction(1, RATE)
        return frame


class PeerCall:
    """One peer."""

    def __init__(self, line: Line, session: LiveSession) -> None:
        self.id = f"rtc_{line.wire.name}"
        self._line, self._wire, self._session = line, line.wire, session
        self.peer = RTCPeerConnection()
        self._speaker = Player(lambda turn: self.buffer_event("started", turn), self._played)
        self._channel: RTCDataChannel | None = None
        self._early: list[dict[str, Any]] = []
        self._drained = asyncio.Event()
        self.over = asyncio.Event()
        self._met = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._names: dict[int, str] = {}
        self._sounding: dict[int, contextlib.ExitStack] = {}

    async def answer(self, offer: str) -> str:
        """The SDP answer to an offer; Problem when it is none."""
        peer = self.peer
        peer.on("track", self._on_track)
        peer.on("datachannel", self._on_channel)
        peer.on("connectionstatechange", self._on_state)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        except Exception as error:  # aiortc raises many kinds for a description it cannot read
            raise Problem(
                "The SDP offer cannot be read; send one with an audio track.", "invalid_value", "sdp"
            ) from error
        if not any(t.kind == "audio" for t in peer.getTransceivers()):
            raise Problem(
                "The SDP offer has no audio; add a track before you create the offer.", "invalid_value", "sdp"
            )
        peer.addTrack(Loudspeaker(self._speaker))
        await peer.setLocalDescription(await peer.createAnswer())
        self._say(self._wire.hello())
        self._start(self._write())
        return peer.localDescription.sdp

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def do(self, event: Input) -> None:
        """Hands an input over without waiting."""
        self._start(self._send(event))

    async def _send(self, event: Input) -> None:
        self._say(await self._line.hand(self._session, event))

    def _played(self, turn: int, samples: int, whole: bool) -> None:
        self.do(Played(turn, samples))
        if whole:
            self.buffer_event("stopped", turn)

    def buffer_event(self, kind: str, turn: int) -> None:
        """Says what happens to the sound of a turn; until it has ended it counts as work."""
        if kind != "started" and (sounding := self._sounding.pop(turn, None)):
            sounding.close()
        name = self._names.get(turn)
        if name is not None:
            self._say([self._wire.output_buffer(kind, name)])

    # ---- what the peer does ----

    def _on_state(self) -> None:
        if self.peer.connectionState in ("failed", "closed"):
            self.over.set()
        if self.peer.connectionState != "connecting":
            self._met.set()

    def _on_channel(self, channel: RTCDataChannel) -> None:
        if channel.label != "oai-events":
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = MOST_BUFFERED // 2
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("message", self._on_message)
        channel.on("close", self.over.set)
        early, self._early = self._early, []
        self._say(early)

    def _on_message(self, message: str | bytes) -> None:
        inputs, events = self._line.take(message)
        self._say(events)
        for event in inputs:
            if isinstance(event, Stop):
                # cancelling also ends what is still to be made; what is buffered plays on until it is cleared
                self._speaker.paused = False
            self.do(event)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._start(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resample = AudioResampler(format="s16", layout="mono", rate=RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                for part in resample.resample(frame):  # type: ignore[arg-type]
                    await self._send(AudioIn(to_float(part.to_ndarray().reshape(-1))))

    # ---- what the conversation does ----

    async def _write(self) -> None:
        async for output in self._session.events():
            events = self._line.follow(output)
            match output:
                case AudioOut(turn, _, pcm, _):
                    name = self._wire.responses.id_of(turn)
                    if name is not None:
                        self._names[turn] = name
                    if turn not in self._sounding:
                        self._sounding[turn] = contextlib.ExitStack()
                        self._sounding[turn].enter_context(self._line.service.working())
                    self._speaker.put(turn, pcm)
                    events = []
                case TurnEnded(turn):
                    self._speaker.end(turn)
                    self._names = {t: name for t, name in self._names.items() if t > turn - 8}
                case Paused():
                    self._speaker.paused = True
                case Resumed():
                    self._speaker.paused = False
                case Silenced(turn):
                    self._speaker.drop(turn)
                    self.buffer_event("cleared", turn)
                case _:
                    pass
            self._say([event for event in events if event["type"] != "response.output_audio.delta"])
            channel = self._channel
            if channel is not None and channel.bufferedAmount > MOST_BUFFERED:
                self._drained.clear()
                await self._drained.wait()

    def _say(self, events: list[dict[str, Any]]) -> None:
        """Tells the peer, as soon as its channel is open; one without a channel hears its answers all the same."""
        channel = self._channel
        if channel is None:
            self._early += events[: MOST_EARLY - len(self._early)]
        elif channel.readyState == "open":
            self._line.count(events)
            for event in events:
                channel.send(json.dumps(event))

    async def hold(self) -> None:
        """Until the peer leaves or the session expires; a peer that never comes is not waited for long."""
        settings = self._line.service.settings
        waits = [asyncio.ensure_future(event.wait()) for event in (self._met, self.over)]
        came, _ = await asyncio.wait(waits, timeout=settings.connect_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if not came:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.session_seconds):
                await self.over.wait()
                return
        self._say([self._wire.error("The session has reached its maximum length; call again.", "session_expired")])
        with contextlib.suppress(TimeoutError):  # so that the peer can read it
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self.over.wait()

    async def close(self) -> None:
        """Ends everything."""
        self._line.close()
        for sounding in self._sounding.values():
            sounding.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.peer.close()


async def close_all(service: Service) -> None:
    """Ends all calls of a server."""
    for over in list(service.calls.values()):
        over.set()


async def _read_offer(request: Request) -> tuple[str, dict[str, Any]]:
    """The SDP and the session settings of a request."""
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/sdp"):
        return (await request.body()).decode(errors="replace"), {}
    if not kind.startswith("multipart/form-data"):
        raise Problem("Send the offer as application/sdp, or as multipart with 'sdp' and 'session'.", "invalid_value")
    form = await request.form()
    sdp, session = form.get("sdp"), form.get("session")
    text = sdp if isinstance(sdp, str) else (await sdp.read()).decode(errors="replace") if sdp is not None else ""
    if session is None:
        return text, {}
    raw = session if isinstance(session, str) else (await session.read()).decode(errors="replace")
    try:
        settings = json.loads(raw)
    except ValueError as error:
        raise Problem("'session' is not JSON.", "invalid_json", "session") from error
    if not isinstance(settings, dict):
        raise Problem("'session' is a JSON object.", "invalid_type", "session")
    return text, settings


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1/realtime/calls", tags=["realtime"], responses=ERRORS)
    offer = {"schema": {"type": "string"}}
    form = {"schema": {"type": "object", "required": ["sdp"], "properties": {"sdp": offer["schema"], "session": {}}}}
    body = {"required": True, "content": {"application/sdp": offer, "multipart/form-data": form}}
    made = {201: {"description": "The SDP answer", "content": {"application/sdp": offer}}}

    @routes.post(
        "",
        status_code=201,
        summary="Call over WebRTC",
        response_class=Response,
        responses={**ERRORS, **made},
        openapi_extra={"requestBody": body},
    )
    async def create(request: Request, model: str = "gpt-realtime") -> Response:
        """Takes an SDP offer, gives the answer; ``Location`` names the call."""
        sdp, settings = await _read_offer(request)
        secret = request.state.secret
        settings = modern_settings({**(secret.session if secret else {}), **settings})
        refuse_unsupported({"session": settings})
        wire = make_wire(service, settings, model, plays_here=True)
        ready: asyncio.Future[tuple[str, str]] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(_hold(service, wire, sdp, ready))
        task.add_done_callback(lambda _: None)
        answer, name = await ready
        headers = {"Location": f"/v1/realtime/calls/{name}"}
        return PlainTextResponse(answer, 201, headers, media_type="application/sdp")

    @routes.post("/{call_id}/hangup", summary="End a call", response_class=Response)
    async def hangup(call_id: str) -> Response:
        """Ends it at once."""
        if call_id not in service.calls:
            raise NotFound(f"There is no call '{call_id}'.", "not_found", "call_id")
        service.calls[call_id].set()
        return Response(status_code=200)

    @routes.post("/{call_id}/{action}", **NEVER)
    async def sip(call_id: str, action: str) -> None:
        """There is no telephone here."""
        raise Problem(f"'{action}' is for telephone calls (SIP), which are not supported.", "not_supported", "action")

    return routes


async def _hold(service: Service, wire: Wire, sdp: str, ready: "asyncio.Future[tuple[str, str]]") -> None:
    """A call from its offer to its end; what is wrong before the answer goes to whoever waits for it."""
    try:
        async with service.session(wire.config) as session:
            call = PeerCall(Line(service, wire), session)
            service.calls[call.id] = call.over
            service.metrics.sessions.inc()
            try:
                answer = await call.answer(sdp)
                ready.set_result((answer, call.id))
                await call.hold()
            finally:
                service.metrics.sessions.dec()
                del service.calls[call.id]
                await call.close()
    except Exception as error:
        if ready.done():
            log.exception("a call broke")
        else:
            ready.set_exception(error)
