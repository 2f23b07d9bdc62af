"""The protocol of ``/v1/live`` without a socket: messages to inputs of a session, outputs of a session to messages.

Nothing in here waits, sleeps, reads or writes. docs/live.md is the format.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from vivavoce.core.errors import ProtocolError
from vivavoce.runtime import api
from vivavoce.runtime.api import Input, Output, SessionConfig, TurnConfig
from vivavoce.runtime.model import RATE, HearingOptions, Pcm
from vivavoce.server.client_events import json_object
from vivavoce.server.ears import Ears, ears_of, hearing_of, language_of
from vivavoce.server.event_maker import EventMaker
from vivavoce.server.formats import rate_of
from vivavoce.server.items import base64_bytes
from vivavoce.server.live_sound import StreamDecoder, StreamEncoder
from vivavoce.server.problems import OF_THE_SERVER, Problem, problem_of
from vivavoce.server.sessions import Voices, tools_of, voice_of
from vivavoce.server.wire import live as client
from vivavoce.server.wire.fields import MOST_EVENT_BYTES

Messages = list[dict[str, Any] | bytes]
"""Events, and sound."""
BEHIND, CAUGHT_UP = RATE, RATE // 4
"""A client is told when so many samples that it sent wait to be heard, and told again when they no longer do."""
_KINDS = ("session.start", "audio", "tool.result", "output.stop", "session.close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is behind the endpoint: its name, whether it hears and speaks at once, the samples of a frame, and by how
    many its sound is later than the frame that it was made in; ears and voices of one that takes turns."""

    model: str
    duplex: bool
    frame: int
    delay: int = 0
    ears: Ears = ()
    voices: Voices | None = None


class LiveWire:
    """One client's side of a stream."""

    def __init__(self, name: str, served: Served, expires_at: int) -> None:
        """``name`` makes ids unique; the session begins with the client's first event."""
        self._make, self._served, self._expires_at = EventMaker(name), served, expires_at
        self._settings: client.LiveSettings | None = None
        self.config: SessionConfig | None = None
        """What the session was asked to be, once it was."""
        self._received = self._heard = self._sounded = 0
        self._end: int | None = None
        self._behind = False
        self.over = False
        """Whether the client was told that the session is closed."""

    @property
    def closing(self) -> bool:
        """Whether the client has sent all that it wants to be heard."""
        return self._end is not None

    def error(self, message: str, code: str, param: str | None = None, event_id: str | None = None) -> dict[str, Any]:
        """An error; it never ends the session."""
        kind = "server_error" if code in OF_THE_SERVER else "invalid_request_error"
        return self._make.event(
            "error", error={"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        )

    # ---- from the client ----

    def receive(self, message: str | bytes) -> tuple[list[Input], Messages]:
        """What a message asks for; whatever is wrong with it becomes an error event."""
        event_id: str | None = None
        try:
            if isinstance(message, bytes):
                return self._sound(message), []
            data = json_object(message)
            given = data.get("event_id")
            event_id = given if isinstance(given, str) and len(given) <= 512 else None
            return self._follow(_event_of(data))
        except Problem as problem:
            return [], [self.error(problem.message, problem.code, problem.param, event_id)]
        except ProtocolError as error:
            return [], [self.error(str(error), error.code, None, event_id)]

    def _follow(self, event: client.LiveEvent) -> tuple[list[Input], Messages]:
        if isinstance(event, client.SessionStart):
            return [], self._start(event.session)
        if self._settings is None:
            raise Problem("The session has not begun; send session.start first.", "session_not_started", "type")
        match event:
            case client.AudioEvent(audio=audio):
                return self._sound(base64_bytes(audio, "audio")), []
            case client.ToolResult(call_id=call, output=output):
                if self._served.duplex:
                    raise Problem("This model takes sound alone, no results of tools.", "unsupported_by_model", "type")
                return [api.ToolResult(call, output)], []
            case client.OutputStop():
                return [api.Hush()], []
        return self._close()

    def _start(self, settings: client.LiveSettings) -> Messages:
        if self._settings is not None:
            raise Problem("The session has begun; open another one for other settings.", "session_already_started")
        self.config = self._config(settings)
        self._settings = settings
        given = settings.input.format, settings.output.format
        rates = [getattr(one, "rate", rate_of(one.type)) for one in given]
        self._decode = StreamDecoder(given[0].type, rates[0])
        self._encode = StreamEncoder(given[1].type, rates[1])
        frame, served = self._served.frame, self._served
        sound = [{"type": one.type, "rate": rate} for one, rate in zip(given, rates, strict=True)]
        about = {
            "id": f"live_{self._make.name}",
            "object": "live.session",
            "model": served.model,
            "kind": "duplex" if served.duplex else "turns",
            "input": {"format": sound[0]},
            "output": {
                "format": sound[1],
                "transport": settings.output.transport,
                "frame_bytes": frame * rates[1] // RATE * (2 if given[1].type == "audio/pcm" else 1),
            },
            "frame_ms": 1000 * frame // RATE,
            "delay_ms": 1000 * served.delay // RATE,
            "expires_at": self._expires_at,
        }
        return [self._make.event("session.started", session=about)]

    def _config(self, settings: client.LiveSettings) -> SessionConfig:
        """What the runtime has to know; Problem when the model cannot be told something."""
        if self._served.duplex:
            asked = [("session.instructions", settings.instructions), ("session.tools", settings.tools)]
            asked += [("session.input.language", settings.input.language)]
            asked += [("session.output.voice", "voice" in settings.output.model_fields_set)]
            for param, value in asked:
                if value:
                    message = f"This model hears and speaks at once and takes sound alone; leave out '{param}'."
                    raise Problem(message, "unsupported_by_model", param)
            return SessionConfig(seed=settings.seed, frames=True)
        assert self._served.voices is not None
        return SessionConfig(
            instructions=settings.instructions,
            voice=voice_of(settings.output.voice, self._served.voices, "session.output.voice"),
            tools=tools_of(settings.tools, "session.tools"),
            turns=TurnConfig(kind="semantic_vad"),
            hearing=_hearing(settings.input.language, self._served.ears),
            plays_here=True,
            reply_to_text=True,
            seed=settings.seed,
            frames=True,
        )

    def _sound(self, data: bytes) -> list[Input]:
        if self._settings is None:
            raise Problem("The session has not begun; send session.start before sound.", "session_not_started")
        if len(data) > MOST_EVENT_BYTES:
            raise Problem(f"A message may have {MOST_EVENT_BYTES} bytes at most.", "event_too_large")
        return self._push(self._decode(data))

    def _push(self, pcm: Pcm) -> list[Input]:
        """Sound in pieces of a second at most, so that what follows need not wait for all of it."""
        self._received += len(pcm)
        return [api.AudioIn(pcm[at : at + RATE]) for at in range(0, len(pcm), RATE)]

    def _close(self) -> tuple[list[Input], Messages]:
        rest = -self._received % self._served.frame
        inputs = self._push(np.zeros(rest, np.float32)) if rest else []
        self._end = self._received
        return inputs, self._closed()

    def _closed(self) -> Messages:
        if self._end is None or self._heard < self._end or self.over:
            return []
        return [self.farewell("completed")]

    def farewell(self, reason: str) -> dict[str, Any]:
        """The last event of a session."""
        self.over = True
        return self._make.event(
            "session.closed",
            reason=reason,
            heard_ms=1000 * self._heard // RATE,
            sounded_ms=1000 * self._sounded // RATE,
        )

    # ---- to the client ----

    def emit(self, output: Output) -> Messages:
        """The messages that tell the client of this."""
        at = 1000 * self._sounded // RATE
        match output:
            case api.Framed():
                return self._frame(output)
            case api.TextOut(_, _, delta) if delta:
                return [self._make.event("text", at_ms=at, delta=delta)]
            case api.UserText(_, delta, final, text) if delta or final:
                more = {"text": text} if final else {"delta": delta}
                return [self._make.event("heard", at_ms=at, final=final, **more)]
            case api.ToolCall(_, _, call, name, arguments):
                return [self._make.event("tool.call", at_ms=at, call_id=call, name=name, arguments=arguments)]
            case api.Silenced():
                return [self._make.event("output.cut", at_ms=at)]
            case api.Refused(code, message, param):
                return [self.error(message, code, param)]
        return []

    def _frame(self, frame: api.Framed) -> Messages:
        assert self._settings is not None and frame.pcm is not None
        at = 1000 * self._sounded // RATE
        found: Messages = []
        if frame.text:
            found.append(self._make.event("text", at_ms=at, delta=frame.text))
        for call in frame.calls:
            name = self._make.new_id("call")
            found.append(
                self._make.event("tool.call", at_ms=at, call_id=name, name=call.name, arguments=call.arguments)
            )
        data = self._encode(frame.pcm)
        if self._settings.output.transport == "binary":
            found.append(data)
        else:
            found.append(self._make.event("audio", at_ms=at, audio=base64.b64encode(data).decode()))
        self._heard, self._sounded = frame.at, self._sounded + len(frame.pcm)
        behind = self._received - self._heard
        if behind > BEHIND if not self._behind else behind < CAUGHT_UP:
            self._behind = not self._behind
            found.append(self._make.event("session.behind", behind_ms=1000 * behind // RATE))
        return found + self._closed()


def _event_of(data: dict[str, Any]) -> client.LiveEvent:
    """The client event that an object is; Problem with the path of the first wrong field."""
    if isinstance(data.get("type"), str) and data["type"] not in _KINDS:
        message = f"There is no client event '{data['type']}' here; there are {', '.join(_KINDS)}."
        raise Problem(message, "invalid_event", "type")
    try:
        return client.LIVE_EVENT.validate_python(data)
    except ValidationError as error:
        found = [{**one, "loc": one["loc"][1:]} for one in error.errors()]  # without the branch of the union
        raise problem_of(found, data) from error


def _hearing(language: str | None, ears: Sequence[Any]) -> HearingOptions:
    info = ears_of(None, tuple(ears))
    named = [language] if language else []
    return hearing_of(info, language_of(named, info, "session.input.language"))
