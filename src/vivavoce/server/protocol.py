"""The Realtime protocol without a socket: client events to inputs of a session, outputs of a session to server events.

`Wire.receive` takes what a client sent and gives what the runtime should do and what the client should be told at
once; `Wire.emit` takes what the runtime did and gives the events that say so. Nothing in here waits, sleeps, reads
or writes.
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry
from vivavoce.runtime import api
from vivavoce.runtime.api import Input, Output, ReplyOptions, SessionConfig
from vivavoce.server import wire as w
from vivavoce.server.beta import modernise
from vivavoce.server.ears import Ears
from vivavoce.server.formats import Decoder, Encoder
from vivavoce.server.items import base64_bytes, entry_of, item_of, logprobs_of
from vivavoce.server.sessions import Session, Voices, config_of, options_of, updated
from vivavoce.server.wire import Problem, RealtimeSession, TranscriptionSession, problem_of, refuse_unsupported

Events = list[dict[str, Any]]
Limits = Callable[[], list[dict[str, Any]]]
WHY_CANCELLED = ("turn_detected", "client_cancelled")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client said with a response.create; it comes back when the response begins."""

    event_id: str | None = None
    metadata: dict[str, str] | None = None
    format: str | None = None
    voice: Any = None


@dataclass(slots=True)
class _Response:
    """A response as the wire knows it, while it grows."""

    id: str
    options: ReplyOptions
    config: SessionConfig
    format: str
    encoder: Encoder
    voice: Any
    metadata: dict[str, str] | None
    output: dict[int, dict[str, Any]]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_limits() -> list[dict[str, Any]]:
    return []


class Wire:
    """One client's side of a conversation."""

    def __init__(
        self,
        session: Session,
        *,
        name: str,
        voices: Voices,
        ears: Ears,
        minds: Sequence[str] = (),
        plays_here: bool = False,
        extension: bool = False,
        expires_at: int | None = None,
        limits: Limits = _no_limits,
    ) -> None:
        """``name`` makes ids unique; ``plays_here``: over WebRTC; ``extension``: the client wants our playback
        events."""
        self.session, self.name, self.expires_at = session, name, expires_at
        self._now = session
        """The session as it was when what is told now happened; ``session`` is what was asked for last."""
        self._voices, self._plays_here, self._extension, self.limits = voices, plays_here, extension, limits
        self._ears, self._minds = ears, minds
        self._count = 0
        self.config = replace(config_of(session, voices, ears, minds, plays_here), tag=session)
        self._decoder = Decoder(session.audio.input.format.type)
        self._responses: dict[int, _Response] = {}
        self._turn_of: dict[str, int] = {}
        self._spoke = False

    # ---- what is said at the beginning ----

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._count += 1
        return {"type": kind, "event_id": f"event_{self.name}_{self._count}", **fields}

    def new_id(self, kind: str) -> str:
        """A name nobody else has."""
        self._count += 1
        return f"{kind}_{self.name}_{self._count}"

    def hello(self) -> Events:
        """The first events of a connection."""
        events = [self._event("session.created", session=self.session_object(self.session))]
        if isinstance(self.session, RealtimeSession):
            conversation = {"id": f"conv_{self.name}", "object": "realtime.conversation"}
            events.append(self._event("conversation.created", conversation=conversation))
        return events

    def session_object(self, session: Session) -> dict[str, Any]:
        """The session as clients see it."""
        kind = "realtime.session" if isinstance(session, RealtimeSession) else "realtime.transcription_session"
        head = set_only(id=f"sess_{self.name}", object=kind, expires_at=self.expires_at)
        return head | session.shown()

    def error(self, message: str, code: str, param: str | None = None, event_id: str | None = None) -> dict[str, Any]:
        """An error; it never ends the session."""
        kind = "server_error" if code == "server_error" else "invalid_request_error"
        return self._event(
            "error", error={"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        )

    def output_buffer(self, kind: str, response_id: str) -> dict[str, Any]:
        """That the sound of a response began, ended or was dropped, where we own the playback."""
        return self._event(f"output_audio_buffer.{kind}", response_id=response_id)

    # ---- from the client ----

    def receive(self, message: str | bytes) -> tuple[list[Input], Events]:
        """What a message asks for; whatever is wrong with it becomes an error event."""
        event_id: str | None = None
        try:
            if isinstance(message, bytes):
                raise Problem("Binary messages are not understood; send JSON as text.", "invalid_event")
            if len(message) > w.MOST_EVENT_BYTES:
                raise Problem(f"An event may have {w.MOST_EVENT_BYTES} bytes at most.", "event_too_large")
            try:
                data = json.loads(message, parse_constant=_no_constant)
            except (ValueError, RecursionError) as error:
                raise Problem("The message is not JSON.", "invalid_json") from error
            if not isinstance(data, dict):
                raise Problem("An event is a JSON object with a type.", "invalid_event")
            given = data.get("event_id")
            event_id = given if isinstance(given, str) and len(given) <= 512 else None
            return self._follow(self._read(data), event_id)
        except Problem as problem:
            return [], [self.error(problem.message, problem.code, problem.param, event_id)]
        except ProtocolError as error:
            return [], [self.error(str(error), error.code, None, event_id)]

    def _read(self, data: dict[str, Any]) -> Any:
        data = modernise(data)
        refuse_unsupported(data)
        try:
            return w.CLIENT_EVENT.validate_python(data)
        except ValidationError as error:
            if error.errors()[0]["type"] == "union_tag_invalid" and not error.errors()[0]["loc"]:
                raise Problem(f"There is no client event '{data['type']}'.", "invalid_event", "type") from error
            raise problem_of(error.errors(), data) from error

    def _follow(self, event: Any, event_id: str | None) -> tuple[list[Input], Events]:
        match event:
            case w.SessionUpdate():
                return self._update(event.session)
            case w.BufferAppend():
                pcm = self._decoder(base64_bytes(event.audio, "audio"))
                return [api.AudioIn(pcm)], []
            case w.BufferCommit():
                tail = self._decoder(b"", last=True)
                self._decoder = Decoder(self._decoder.name)
                return [api.AudioIn(tail), api.Commit(event_id)], []
            case w.BufferClear():
                self._decoder = Decoder(self._decoder.name)
                return [api.Clear()], []
            case w.ItemCreate():
                entry = entry_of(event.item, self.session.audio.input.format.type, self.new_id)
                return [api.Add(entry, event.previous_item_id, event_id)], []
            case w.ItemRetrieve():
                return [api.Retrieve(event.item_id, event_id)], []
            case w.ItemTruncate():
                return [api.Truncate(event.item_id, event.audio_end_ms * 24, event_id)], []
            case w.ItemDelete():
                return [api.Delete(event.item_id, event_id)], []
            case w.ResponseCreate():
                return [api.Respond(self._options(event.response or w.ResponseParams(), event_id))], []
            case w.ResponseCancel():
                return [api.Stop(self._turn(event.response_id), event_id)], []
            case w.OutputBufferClear():
                if not self._plays_here:
                    message = "output_audio_buffer.clear is for WebRTC; here the client plays: cancel and truncate."
                    raise Problem(message, "not_supported", "type")
                return [api.Hush()], []
            case w.PlaybackPosition():
                turn = self._turn(event.response_id)
                return [] if turn is None else [api.Played(turn, event.audio_ms * 24)], []
        raise Problem("This event is not understood.", "invalid_event", "type")

    def _turn(self, response_id: str | None) -> int | None:
        if response_id is None:
            return None
        if response_id not in self._turn_of:
            raise Problem(f"There is no response '{response_id}'.", "invalid_value", "response_id")
        return self._turn_of[response_id]

    def _update(self, change: dict[str, Any]) -> tuple[list[Input], Events]:
        new = updated(self.session, change, self._ears)
        old = self.session
        if isinstance(new, RealtimeSession) and isinstance(old, RealtimeSession):
            if old.model and new.model != old.model:
                message = f"The model of a session stays what it is ('{old.model}'); open another session."
                raise Problem(message, "cannot_update_model", "session.model")
            if self._spoke and new.audio.output.voice != old.audio.output.voice:
                message = "The voice cannot change any more once the assistant has spoken; open another session."
                raise Problem(message, "cannot_update_voice", "session.audio.output.voice")
        config = replace(config_of(new, self._voices, self._ears, self._minds, self._plays_here), tag=new)
        if new.audio.input.format != old.audio.input.format:
            self._decoder = Decoder(new.audio.input.format.type)
        self.session, self.config = new, config
        return [api.Configure(config)], []

    def _options(self, given: w.ResponseParams, event_id: str | None) -> ReplyOptions:
        session = self.session
        if isinstance(session, TranscriptionSession):
            message = "A transcription session gives no responses; open one of type 'realtime'."
            raise Problem(message, "not_supported", "type")
        output = given.audio.output
        asked = Asked(event_id, given.metadata, output.format.type if output.format else None, output.voice)
        options = options_of(given, session, self._voices, asked)
        if given.input is None:
            return options
        made: tuple[Entry | str, ...] = tuple(
            part.id
            if isinstance(part, w.ItemReference)
            else entry_of(part, session.audio.input.format.type, self.new_id, f"response.input[{index}]")
            for index, part in enumerate(given.input)
        )
        return replace(options, input=made)

    # ---- to the client ----

    def emit(self, output: Output) -> Events:
        """The events that tell the client of this."""
        match output:
            case api.UserSpeech(on, at, entry):
                if on:
                    return [self._event("input_audio_buffer.speech_started", audio_start_ms=at // 24, item_id=entry)]
                return [self._event("input_audio_buffer.speech_stopped", audio_end_ms=at // 24, item_id=entry)]
            case api.UserText():
                return self._user_text(output)
            case api.Committed(entry, previous):
                return [self._event("input_audio_buffer.committed", item_id=entry, previous_item_id=previous)]
            case api.Cleared():
                return [self._event("input_audio_buffer.cleared")]
            case api.Configured(config):
                self._now = config.tag
                return [self._event("session.updated", session=self.session_object(config.tag))]
            case api.IdleTimeout(start, end, entry):
                times = {"audio_start_ms": start // 24, "audio_end_ms": end // 24}
                return [self._event("input_audio_buffer.timeout_triggered", item_id=entry, **times)]
            case api.EntryAdded(entry, previous, None):
                return [self._event("conversation.item.added", item=self._item(entry), previous_item_id=previous)]
            case api.EntryDone(entry, previous, None):
                return [self._event("conversation.item.done", item=self._item(entry), previous_item_id=previous)]
            case api.EntryShown(entry):
                format_name = self._format_of(entry.role)
                return [self._event("conversation.item.retrieved", item=item_of(entry, format_name))]
            case api.EntryDeleted(entry):
                return [self._event("conversation.item.deleted", item_id=entry)]
            case api.EntryTruncated(entry, samples):
                fields = {"item_id": entry, "content_index": 0, "audio_end_ms": samples // 24}
                return [self._event("conversation.item.truncated", **fields)]
            case api.Refused(code, message, param, tag):
                event_id = tag.event_id if isinstance(tag, Asked) else tag if isinstance(tag, str) else None
                return [self.error(message, code, param, event_id)]
            case api.Paused(turn) | api.Resumed(turn) | api.Silenced(turn):
                return self._playback(output, turn)
            case api.TurnStarted():
                return self._started(output)
        response = None if output.turn is None else self._responses.get(output.turn)
        return [] if response is None else self._grow(response, output)

    def _grow(self, response: _Response, output: Output) -> Events:
        match output:
            case api.EntryAdded():
                return self._item_added(response, output)
            case api.EntryDone():
                return self._item_done(response, output)
            case api.TextOut(_, entry, delta):
                kind = "output_audio_transcript" if response.config.audio_out else "output_text"
                return [self._in_part(response, f"response.{kind}.delta", entry, delta=delta)]
            case api.AudioOut(_, entry, pcm, _):
                self._spoke = True
                data = response.encoder(pcm)
                delta = base64.b64encode(data).decode()
                return [self._in_part(response, "response.output_audio.delta", entry, delta=delta)] if data else []
            case api.ToolCall(_, entry, call, name, arguments):
                place = {"response_id": response.id, "item_id": entry, "call_id": call, **self._place(response, entry)}
                kind = "response.function_call_arguments"
                return [
                    self._event(f"{kind}.delta", delta=arguments, **place),
                    self._event(f"{kind}.done", name=name, arguments=arguments, **place),
                ]
            case api.TurnEnded():
                return self._ended(response, output)
        return []

    def response_of(self, turn: int) -> str | None:
        """The id of the response that a turn is."""
        response = self._responses.get(turn)
        return response.id if response else None

    def _format_of(self, role: str) -> str:
        audio = self._now.audio
        if role == "assistant" and not isinstance(audio, w.InputOnly):
            return audio.output.format.type
        return audio.input.format.type

    @property
    def _transcribes(self) -> bool:
        return self._now.audio.input.transcription is not None or isinstance(self._now, TranscriptionSession)

    def _item(self, entry: Any, empty: bool = False) -> dict[str, Any]:
        return item_of(entry, transcript=entry.role == "assistant" or self._transcribes, empty=empty)

    def _user_text(self, output: api.UserText) -> Events:
        if not self._transcribes:
            return []
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": output.entry, "content_index": 0}
        certain = bool(self._now.include)
        events = []
        if output.delta:
            logprobs = logprobs_of(output.words[-len(output.delta.split()) :]) if certain and output.words else None
            events.append(self._event(f"{kind}.delta", delta=output.delta, **set_only(logprobs=logprobs), **place))
        if output.final:
            usage = {"type": "duration", "seconds": round(output.samples / 24_000, 3)}
            logprobs = logprobs_of(output.words) if certain else None
            more = {"usage": usage, **set_only(logprobs=logprobs)}
            events.append(self._event(f"{kind}.completed", transcript=output.text, **more, **place))
        return events

    def _playback(self, output: api.Paused | api.Resumed | api.Silenced, turn: int) -> Events:
        response = self._responses.get(turn)
        if not self._extension or response is None:
            return []
        kind = {api.Paused: "paused", api.Resumed: "resumed", api.Silenced: "stopped"}[type(output)]
        return [self._event(f"vivavoce.playback.{kind}", response_id=response.id)]

    # ---- responses ----

    def _started(self, output: api.TurnStarted) -> Events:
        asked = output.options.tag if isinstance(output.options.tag, Asked) else Asked()
        session = output.config.tag
        assert isinstance(session, RealtimeSession)
        name = asked.format or session.audio.output.format.type
        voice = asked.voice or session.audio.output.voice
        response = _Response(
            id=f"resp_{self.name}_{output.turn}",
            options=output.options,
            config=output.config,
            format=name,
            encoder=Encoder(name),
            voice=voice.id if isinstance(voice, w.VoiceId) else voice,
            metadata=asked.metadata,
            output={},
        )
        self._responses[output.turn] = response
        self._turn_of[response.id] = output.turn
        for old in [turn for turn in self._responses if turn < output.turn - 64]:
            del self._turn_of[self._responses.pop(old).id]
        events = [self._event("response.created", response=self._response(response, "in_progress"))]
        limits = self.limits()
        return [*events, self._event("rate_limits.updated", rate_limits=limits)] if limits else events

    def _response(self, response: _Response, status: str, **more: Any) -> dict[str, Any]:
        limit = response.config.max_output_tokens
        wire_format = {"type": response.format} | ({"rate": 24000} if response.format == "audio/pcm" else {})
        return set_only(
            id=response.id,
            object="realtime.response",
            status=status,
            output=[response.output[place] for place in sorted(response.output)],
            conversation_id=None if response.options.out_of_band else f"conv_{self.name}",
            output_modalities=["audio"] if response.config.audio_out else ["text"],
            max_output_tokens="inf" if limit is None else limit,
            audio={"output": {"format": wire_format, "voice": response.voice}},
            metadata=response.metadata,
            **more,
        )

    def _place(self, response: _Response, entry: str) -> dict[str, int]:
        return {"output_index": next((p for p, item in response.output.items() if item["id"] == entry), 0)}

    def _in_part(self, response: _Response, kind: str, entry: str, **fields: Any) -> dict[str, Any]:
        place = {"response_id": response.id, "item_id": entry, "content_index": 0, **self._place(response, entry)}
        return self._event(kind, **place, **fields)

    def _item_added(self, response: _Response, output: api.EntryAdded) -> Events:
        item = self._item(output.entry, empty=True)
        response.output[output.place] = item
        where = {"response_id": response.id, "output_index": output.place}
        events = [self._event("response.output_item.added", item=item, **where)]
        if not response.options.out_of_band:
            events.append(self._event("conversation.item.added", item=item, previous_item_id=output.previous))
        if output.entry.kind == "message":
            part = {"type": "audio", "transcript": ""} if output.entry.spoken else {"type": "text", "text": ""}
            events.append(self._in_part(response, "response.content_part.added", output.entry.id, part=part))
        return events

    def _item_done(self, response: _Response, output: api.EntryDone) -> Events:
        entry = output.entry
        item = self._item(entry)
        response.output[output.place] = item
        events = []
        if entry.kind == "message" and entry.spoken:
            rest = response.encoder(np.zeros(0, np.float32), last=True)
            if rest:
                delta = base64.b64encode(rest).decode()
                events.append(self._in_part(response, "response.output_audio.delta", entry.id, delta=delta))
            events.append(self._in_part(response, "response.output_audio.done", entry.id))
            kind = "response.output_audio_transcript.done"
            events.append(self._in_part(response, kind, entry.id, transcript=entry.text))
        elif entry.kind == "message":
            events.append(self._in_part(response, "response.output_text.done", entry.id, text=entry.text))
        if entry.kind == "message":
            part = {"type": "audio", "transcript": entry.text} if entry.spoken else {"type": "text", "text": entry.text}
            events.append(self._in_part(response, "response.content_part.done", entry.id, part=part))
        where = {"response_id": response.id, "output_index": output.place}
        events.append(self._event("response.output_item.done", item=item, **where))
        if not response.options.out_of_band and not output.gone:
            events.append(self._event("conversation.item.done", item=item, previous_item_id=output.previous))
        return events

    def _ended(self, response: _Response, output: api.TurnEnded) -> Events:
        status, details = "completed", None
        if output.why in WHY_CANCELLED:
            status, details = "cancelled", {"type": "cancelled", "reason": output.why}
        elif output.why == "max_output_tokens":
            status, details = "incomplete", {"type": "incomplete", "reason": output.why}
        elif output.why == "failed":
            error = {"type": "server_error", "code": "model_error", "message": output.error}
            status, details = "failed", {"type": "failed", "error": error}
        return [
            self._event(
                "response.done",
                response=self._response(response, status, status_details=details, usage=usage_of(output.usage)),
            )
        ]


def set_only(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: what was not set is not sent."""
    return {name: value for name, value in fields.items() if value is not None}


def usage_of(usage: api.Usage) -> dict[str, Any]:
    """Sizes of a response as the wire counts them."""
    given, made = usage.input_text + usage.input_audio, usage.output_text + usage.output_audio
    return {
        "total_tokens": given + made,
        "input_tokens": given,
        "output_tokens": made,
        "input_token_details": {
            "text_tokens": usage.input_text,
            "audio_tokens": usage.input_audio,
            "image_tokens": 0,
            "cached_tokens": 0,
        },
        "output_token_details": {"text_tokens": usage.output_text, "audio_tokens": usage.output_audio},
    }
