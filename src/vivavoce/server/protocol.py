"""The Realtime protocol without a socket: client events to inputs of a session, outputs of a session to server events.

`Wire.receive` takes what a client sent and gives what the runtime should do and what the client should be told at
once; `Wire.emit` takes what the runtime did and gives the events that say so. Nothing in here waits, sleeps, reads
or writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vivavoce.core.errors import ProtocolError
from vivavoce.core.talk import Entry
from vivavoce.runtime import api
from vivavoce.runtime.api import Input, Output, ReplyOptions
from vivavoce.server.client_events import event_of, json_object
from vivavoce.server.ears import Ears
from vivavoce.server.event_maker import EventMaker, Events, set_only
from vivavoce.server.formats import Decoder
from vivavoce.server.items import base64_bytes, entry_of, item_of, logprobs_of
from vivavoce.server.problems import OF_THE_SERVER, Problem
from vivavoce.server.realtime_responses import Asked, Responses
from vivavoce.server.sessions import Session, Voices, config_of, options_of, updated
from vivavoce.server.wire import events as client
from vivavoce.server.wire.items import ItemReference
from vivavoce.server.wire.sessions import InputOnly, RealtimeSession, TranscriptionSession

Limits = Callable[[], list[dict[str, Any]]]


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
        self.session, self.expires_at = session, expires_at
        self.name = name
        self._make = EventMaker(name)
        self._event = self._make.event
        self.responses = Responses(self._make, self._item)
        self._now = session
        """The session as it was when what is told now happened; ``session`` is what was asked for last."""
        self._voices, self._plays_here, self._extension, self.limits = voices, plays_here, extension, limits
        self._ears, self._minds = ears, minds
        self.config = replace(config_of(session, voices, ears, minds, plays_here), tag=session)
        self._decoder = Decoder(session.audio.input.format.type)

    # ---- what is said at the beginning ----

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
        kind = "server_error" if code in OF_THE_SERVER else "invalid_request_error"
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
            data = json_object(message)
            given = data.get("event_id")
            event_id = given if isinstance(given, str) and len(given) <= 512 else None
            return self._follow(event_of(data), event_id)
        except Problem as problem:
            return [], [self.error(problem.message, problem.code, problem.param, event_id)]
        except ProtocolError as error:
            return [], [self.error(str(error), error.code, None, event_id)]

    def _follow(self, event: Any, event_id: str | None) -> tuple[list[Input], Events]:
        match event:
            case client.SessionUpdate():
                return self._update(event.session)
            case client.BufferAppend():
                pcm = self._decoder(base64_bytes(event.audio, "audio"))
                return [api.AudioIn(pcm)], []
            case client.BufferCommit():
                tail = self._decoder(b"", last=True)
                self._decoder = Decoder(self._decoder.name)
                return [api.AudioIn(tail), api.Commit(event_id)], []
            case client.BufferClear():
                self._decoder = Decoder(self._decoder.name)
                return [api.Clear()], []
            case client.ItemCreate():
                entry = entry_of(event.item, self.session.audio.input.format.type, self._make.new_id)
                return [api.Add(entry, event.previous_item_id, event_id)], []
            case client.ItemRetrieve():
                return [api.Retrieve(event.item_id, event_id)], []
            case client.ItemTruncate():
                return [api.Truncate(event.item_id, event.audio_end_ms * 24, event_id)], []
            case client.ItemDelete():
                return [api.Delete(event.item_id, event_id)], []
            case client.ResponseCreate():
                return [api.Respond(self._options(event.response or client.ResponseParams(), event_id))], []
            case client.ResponseCancel():
                return [api.Stop(self.responses.turn_of(event.response_id), event_id)], []
            case client.OutputBufferClear():
                if not self._plays_here:
                    message = "output_audio_buffer.clear is for WebRTC; here the client plays: cancel and truncate."
                    raise Problem(message, "not_supported", "type")
                return [api.Hush()], []
            case client.PlaybackPosition():
                turn = self.responses.turn_of(event.response_id)
                return [] if turn is None else [api.Played(turn, event.audio_ms * 24)], []
        raise Problem("This event is not understood.", "invalid_event", "type")

    def _update(self, change: dict[str, Any]) -> tuple[list[Input], Events]:
        new = updated(self.session, change, self._ears)
        old = self.session
        if isinstance(new, RealtimeSession) and isinstance(old, RealtimeSession):
            if old.model and new.model != old.model:
                message = f"The model of a session stays what it is ('{old.model}'); open another session."
                raise Problem(message, "cannot_update_model", "session.model")
            if self.responses.spoke and new.audio.output.voice != old.audio.output.voice:
                message = "The voice cannot change any more once the assistant has spoken; open another session."
                raise Problem(message, "cannot_update_voice", "session.audio.output.voice")
        config = replace(config_of(new, self._voices, self._ears, self._minds, self._plays_here), tag=new)
        if new.audio.input.format != old.audio.input.format:
            self._decoder = Decoder(new.audio.input.format.type)
        self.session, self.config = new, config
        return [api.Configure(config)], []

    def _options(self, given: client.ResponseParams, event_id: str | None) -> ReplyOptions:
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
            if isinstance(part, ItemReference)
            else entry_of(part, session.audio.input.format.type, self._make.new_id, f"response.input[{index}]")
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
                begun, limits = self.responses.begin(output), self.limits()
                return [*begun, self._event("rate_limits.updated", rate_limits=limits)] if limits else begun
            case api.Framed():  # this protocol has no frames
                return []
        return self.responses.grow(output)

    def _format_of(self, role: str) -> str:
        audio = self._now.audio
        if role == "assistant" and not isinstance(audio, InputOnly):
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
        response_id = self.responses.id_of(turn)
        if not self._extension or response_id is None:
            return []
        kind = {api.Paused: "paused", api.Resumed: "resumed", api.Silenced: "stopped"}[type(output)]
        return [self._event(f"vivavoce.playback.{kind}", response_id=response_id)]
