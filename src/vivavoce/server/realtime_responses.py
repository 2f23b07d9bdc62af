"""Responses of the Realtime protocol while they grow: what the runtime makes becomes items, parts and deltas."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vivavoce.runtime import api
from vivavoce.runtime.api import ReplyOptions, SessionConfig
from vivavoce.server.event_maker import EventMaker, Events, set_only
from vivavoce.server.formats import Encoder
from vivavoce.server.problems import Problem
from vivavoce.server.wire.sessions import RealtimeSession, VoiceId

WHY_CANCELLED = ("turn_detected", "client_cancelled")
Growth = api.EntryAdded | api.EntryDone | api.TextOut | api.AudioOut | api.ToolCall | api.TurnEnded
"""What the runtime tells of a response between its beginning and its end."""


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


class Responses:
    """The responses of one conversation; ``shown`` gives an entry as the client sees it, ``empty`` before it grows."""

    def __init__(self, make: EventMaker, shown: Callable[..., dict[str, Any]]) -> None:
        self._event, self._name, self._shown = make.event, make.name, shown
        self._running: dict[int, _Response] = {}
        self._turn_of: dict[str, int] = {}
        self.spoke = False
        """Whether any of them was heard."""

    def id_of(self, turn: int) -> str | None:
        """The id of the response that a turn is."""
        response = self._running.get(turn)
        return response.id if response else None

    def turn_of(self, response_id: str | None) -> int | None:
        """The turn of a response by its id, None for the one that is made now; Problem where there is none."""
        if response_id is None:
            return None
        if response_id not in self._turn_of:
            raise Problem(f"There is no response '{response_id}'.", "invalid_value", "response_id")
        return self._turn_of[response_id]

    def grow(self, output: Growth) -> Events:
        """The events that say what an output adds to its response; none where the response is not known."""
        response = None if output.turn is None else self._running.get(output.turn)
        return [] if response is None else self._grow(response, output)

    def _grow(self, response: _Response, output: Growth) -> Events:
        match output:
            case api.EntryAdded():
                return self._item_added(response, output)
            case api.EntryDone():
                return self._item_done(response, output)
            case api.TextOut(_, entry, delta):
                kind = "output_audio_transcript" if response.config.audio_out else "output_text"
                return [self._in_part(response, f"response.{kind}.delta", entry, delta=delta)]
            case api.AudioOut(_, entry, pcm, _):
                self.spoke = True
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

    def begin(self, output: api.TurnStarted) -> Events:
        """A response is made from now on; the oldest of those that have long ended are forgotten."""
        asked = output.options.tag if isinstance(output.options.tag, Asked) else Asked()
        session = output.config.tag
        assert isinstance(session, RealtimeSession)
        name = asked.format or session.audio.output.format.type
        voice = asked.voice or session.audio.output.voice
        response = _Response(
            id=f"resp_{self._name}_{output.turn}",
            options=output.options,
            config=output.config,
            format=name,
            encoder=Encoder(name),
            voice=voice.id if isinstance(voice, VoiceId) else voice,
            metadata=asked.metadata,
            output={},
        )
        self._running[output.turn] = response
        self._turn_of[response.id] = output.turn
        for old in [turn for turn in self._running if turn < output.turn - 64]:
            del self._turn_of[self._running.pop(old).id]
        return [self._event("response.created", response=self._response(response, "in_progress"))]

    def _response(self, response: _Response, status: str, **more: Any) -> dict[str, Any]:
        limit = response.config.max_output_tokens
        wire_format = {"type": response.format} | ({"rate": 24000} if response.format == "audio/pcm" else {})
        return set_only(
            id=response.id,
            object="realtime.response",
            status=status,
            output=[response.output[place] for place in sorted(response.output)],
            conversation_id=None if response.options.out_of_band else f"conv_{self._name}",
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
        item = self._shown(output.entry, empty=True)
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
        item = self._shown(entry)
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
