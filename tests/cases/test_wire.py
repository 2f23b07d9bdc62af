"""What clients rely on beside the types: nothing unset is sent, codes they look for, sound cut anywhere."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from live_server import serving, unset
from openai.types.realtime import (
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
)
from pydantic import BaseModel, TypeAdapter

from vivavoce.core.gallery import GALLERY
from vivavoce.core.talk import Say
from vivavoce.core.voice import STOCK
from vivavoce.runtime.fake import Beeping, fake_model, silence, utter
from vivavoce.runtime.model import Spoken
from vivavoce.server.sound_files import whole_file
from vivavoce.server.voices import VoiceStore

SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
ERROR = {"type", "code", "message", "param", "event_id"}
"""An error has all its fields, as OpenAI's have."""


def unknown(value: Any, path: str = "") -> list[str]:
    """Paths of what the client's types do not know."""
    found: list[str] = []
    if isinstance(value, BaseModel):
        found += [f"{path}.{name}" for name in value.model_extra or ()]
        for name in type(value).model_fields:
            found += unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            found += unknown(each, f"{path}[{place}]")
    return found


def test_what_is_unset_or_unknown_is_found():
    event = {"type": "conversation.item.deleted", "event_id": "e", "item_id": "a", "colour": None}
    assert unset(event) == [".colour"]
    assert unknown(SERVER_EVENT.validate_python(event)) == [".colour"]


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}], **more}


def encoded(pcm: np.ndarray) -> bytes:
    return (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()


class Raw:
    """A WebSocket that shows what is sent and not what a client makes of it."""

    def __init__(self, socket: Any) -> None:
        self._socket, self.seen = socket, []

    async def send(self, kind: str, **fields: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = json.loads(await asyncio.wait_for(self._socket.recv(), 60))
            self.seen.append(event)
            if event["type"] == kind:
                return event


@asynccontextmanager
async def raw(address: str, query: str = "model=gpt-realtime") -> AsyncIterator[Raw]:
    url = f"{address.replace('http', 'ws')}/v1/realtime?{query}"
    async with websockets.connect(url, max_size=None) as socket:
        yield Raw(socket)


async def test_what_was_not_set_is_not_sent(address):
    """Every event that a WebSocket is told, and not one field that the client's types do not know or that is empty."""
    tool = {"type": "function", "name": "order_drink", "parameters": {"type": "object", "default": None}}
    audio = {"input": {"transcription": {"model": "whisper-1"}}}
    async with raw(address) as live:
        session = {"type": "realtime", "tools": [tool], "audio": audio}
        await live.send("session.update", session=session)
        shown = (await live.until("session.updated"))["session"]
        assert shown["audio"]["input"]["transcription"] == {"model": "whisper-1"}
        assert shown["tools"] == [tool]  # what somebody gave is given back, even where it is null
        shown["tools"] = []
        detection = {"type": "server_vad", "idle_timeout_ms": 1000}
        more = {
            "audio": {"input": {"turn_detection": detection}},
            "include": ["item.input_audio_transcription.logprobs"],
        }
        await live.send("session.update", session={"tools": [tool | {"parameters": {}}], **more})
        sound = np.concatenate([utter("a small latte please."), silence(800)])
        await live.send("input_audio_buffer.append", audio=base64.b64encode(encoded(sound)).decode())
        called = (await live.until("response.done"))["response"]["output"]
        result = {"type": "function_call_output", "call_id": called[0]["call_id"], "output": "done"}
        await live.send("conversation.item.create", item=result)
        await live.send("response.create", response={"output_modalities": ["text"]})
        await live.until("response.done")
        await live.send("input_audio_buffer.append", audio=base64.b64encode(encoded(silence(4000))).decode())
        await live.until("input_audio_buffer.timeout_triggered")
        await live.until("response.done")
        await live.send("response.create", response={"conversation": "none", "input": [message("hi")]})
        await live.until("response.done")
        item = called[1]["id"]
        await live.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=100)
        await live.send("conversation.item.retrieve", item_id=item)
        await live.send("conversation.item.delete", item_id=item)
        await live.send("input_audio_buffer.clear")
        await live.until("input_audio_buffer.cleared")
        await live.send("session.update", session={"audio": {"input": {"turn_detection": None}}})
        assert (await live.until("session.updated"))["session"]["audio"]["input"]["turn_detection"] is None
        await live.send("response.cancel")
        assert set((await live.until("error"))["error"]) == ERROR
    async with raw(address, "intent=transcription") as listening:
        await listening.until("session.created")
    seen = [*live.seen, *listening.seen]
    assert {event["type"] for event in seen} == SAID
    for event in seen:
        assert not unset(event), event
        if not event["type"].startswith("session."):  # OpenAI's server says more of a session than its package
            assert not unknown(SERVER_EVENT.validate_python(event)), event
        else:
            fields = {
                "realtime": RealtimeSessionCreateRequest,
                "transcription": RealtimeTranscriptionSessionCreateRequest,
            }
            given = event["session"]
            extra = {"id", "object", "expires_at"}
            kind = fields[given["type"]]
            assert not unknown(kind.model_validate({k: v for k, v in given.items() if k not in extra})), event


SAID = set(
    """
    session.created session.updated conversation.created conversation.item.added conversation.item.done
    conversation.item.retrieved conversation.item.truncated conversation.item.deleted error rate_limits.updated
    conversation.item.input_audio_transcription.delta conversation.item.input_audio_transcription.completed
    input_audio_buffer.committed input_audio_buffer.cleared input_audio_buffer.speech_started
    input_audio_buffer.speech_stopped input_audio_buffer.timeout_triggered response.created response.done
    response.output_item.added response.output_item.done response.content_part.added response.content_part.done
    response.output_text.delta response.output_text.done response.output_audio.delta response.output_audio.done
    response.output_audio_transcript.delta response.output_audio_transcript.done
    response.function_call_arguments.delta response.function_call_arguments.done
    """.split()
)


async def test_errors_have_the_codes_that_clients_look_for(address):
    async with raw(address) as live:
        await live.send("conversation.item.create", item=message("hello", id="one"))
        await live.until("conversation.item.done")
        result = {"type": "function_call_output", "call_id": "call_none", "output": ""}
        for kind, fields, code, param in (
            ("conversation.item.retrieve", {"item_id": "no"}, "item_retrieve_invalid_item_id", "item_id"),
            ("conversation.item.delete", {"item_id": "no"}, "item_delete_invalid_item_id", "item_id"),
            ("conversation.item.truncate", {"item_id": "no", "content_index": 0, "audio_end_ms": 1},
             "item_truncate_invalid_item_id", "item_id"),
            ("conversation.item.truncate", {"item_id": "one", "content_index": 0, "audio_end_ms": 1},
             "unsupported_content_type", None),
            ("conversation.item.create", {"item": message("hi", id="one")}, "item_create_duplicate_item_id", None),
            ("conversation.item.create", {"item": message("hi"), "previous_item_id": "no"},
             "item_create_invalid_previous_item_id", "previous_item_id"),
            ("conversation.item.create", {"item": result}, "invalid_tool_call_id", None),
            ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty", None),
            ("response.cancel", {}, "response_cancel_not_active", None),
            ("session.update", {"session": {"colour": "red"}}, "unknown_parameter", "session.colour"),
            ("session.update", {"session": {"tools": [{"type": "function", "name": "a", "colour": 1}]}},
             "unknown_parameter", "session.tools[0].colour"),
        ):  # fmt: skip
            await live.send(kind, **fields, event_id=f"mine_{code}")
            error = (await live.until("error"))["error"]
            assert (error["code"], error["param"], error["event_id"]) == (code, param, f"mine_{code}")
            assert error["type"] == "invalid_request_error" and error["message"]


async def test_sound_may_be_cut_anywhere(address):
    audio = {"input": {"turn_detection": None, "transcription": {}}}
    async with raw(address) as live:
        await live.send("session.update", session={"audio": audio})
        data = encoded(utter("half a sample."))
        for begin in range(0, len(data), 9601):
            piece = base64.b64encode(data[begin : begin + 9601]).decode()
            await live.send("input_audio_buffer.append", audio=piece)
        await live.send("input_audio_buffer.append", audio=base64.b64encode(b"\1").decode())
        await live.send("input_audio_buffer.commit", event_id="half")
        error = (await live.until("error"))["error"]
        assert error["event_id"] == "half" and "half" in error["message"]
        await live.send("input_audio_buffer.append", audio=base64.b64encode(b"\1").decode())
        await live.send("input_audio_buffer.commit")
        done = await live.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "half a sample."
        # what was cleared leaves nothing behind
        await live.send("input_audio_buffer.append", audio=base64.b64encode(data[:99]).decode())
        await live.send("input_audio_buffer.clear")
        await live.send("input_audio_buffer.append", audio=base64.b64encode(data).decode())
        await live.send("input_audio_buffer.commit")
        done = await live.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "half a sample."


@pytest.mark.parametrize("language", ["auto", "en", "en-US", "English"])
async def test_languages_that_mean_english_or_any_are_taken(address, language):
    wave = ("hi.wav", whole_file(utter("hello."), "wav"))
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        data = {"model": "whisper-1", "language": language}
        answer = await http.post("/v1/audio/transcriptions", data=data, files={"file": wave})
        assert answer.json()["text"] == "hello."
    async with raw(address) as live:
        await live.send("session.update", session={"audio": {"input": {"transcription": {"language": language}}}})
        await live.until("session.updated")


async def test_voices_are_listed_as_open_webui_reads_them(address):
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        await http.post("/v1/audio/voices", json={"type": "prompt", "name": "dwarf", "prompt": "a grumpy dwarf"})
        answer = (await http.get("/v1/audio/voices")).json()
    assert all(set(voice) == {"id", "name"} for voice in answer["voices"])
    assert [voice["id"] for voice in answer["voices"]] == [*STOCK, *GALLERY, *(voice["id"] for voice in answer["data"])]
    assert answer["voices"][-1]["name"] == "dwarf" and not unset(answer)


async def test_events_take_effect_in_their_order(address):
    async with raw(address) as live:
        await live.send("conversation.item.create", item=message("hello"))
        await live.send("response.create")
        await live.send("session.update", session={"output_modalities": ["text"], "instructions": "new"})
        await live.send("response.create", response={"conversation": "none", "instructions": "own"})
        await live.until("response.done")
        await live.until("response.done")
        made = [e["response"]["output_modalities"] for e in live.seen if e["type"] == "response.created"]
        assert made == [["audio"], ["text"]]
        order = [e["type"] for e in live.seen if e["type"] in ("response.created", "session.updated")]
        assert order == ["response.created", "session.updated", "response.created"]
        # what is cancelled at once begins and ends, and nobody is told that there was nothing to cancel
        before = len(live.seen)
        story = {"output_modalities": ["audio"], "input": [message("word " * 500)]}
        await live.send("response.create", response=story)
        await live.send("response.cancel")
        done = (await live.until("response.done"))["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        assert not [e for e in live.seen[before:] if e["type"] == "error"]


async def test_formats_change_with_the_update_that_changes_them(address):
    async with raw(address) as live:
        for name in ("audio/pcmu", "audio/pcm"):
            await live.send("response.create", response={"input": [message("hello")]})
            audio = {"output": {"format": {"type": name}}}
            await live.send("session.update", session={"audio": audio})
            done = (await live.until("response.done"))["response"]
            before = {"audio/pcmu": "audio/pcm", "audio/pcm": "audio/pcmu"}[name]
            assert done["audio"]["output"]["format"]["type"] == before


async def test_instructions_reach_the_mind():
    def say(context):
        yield Say(context.instructions or "none")

    with serving(model=fake_model(say)) as address:
        async with raw(address) as live:
            said = []
            session = {"output_modalities": ["text"], "instructions": "be brief"}
            await live.send("session.update", session=session)
            for response in ({}, {"instructions": "greet"}, {"conversation": "none", "instructions": "sum up"}):
                await live.send("response.create", response=response)
                said.append((await live.until("response.done"))["response"]["output"][0]["content"][0]["text"])
            assert said == ["be brief", "greet", "sum up"]
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            roles = [{"role": role, "content": role} for role in ("system", "developer", "user")]
            body = {"model": "gpt-audio", "messages": roles}
            answer = (await http.post("/v1/chat/completions", json=body)).json()
            assert answer["choices"][0]["message"]["content"] == "system\ndeveloper"


async def test_an_answer_that_nobody_heard_was_not_said(address):
    async with raw(address) as live:
        await live.send("response.create", response={"input": [message("hello")]})
        item = (await live.until("response.done"))["response"]["output"][0]["id"]
        await live.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
        await live.send("conversation.item.retrieve", item_id=item)
        assert (await live.until("conversation.item.retrieved"))["item"]["content"][0]["transcript"] == ""
        await live.send("conversation.item.create", item=message("what did you just say?"))
        await live.send("response.create", response={"output_modalities": ["text"]})
        said = (await live.until("response.done"))["response"]["output"][0]["content"][0]["text"]
        assert said == "i said nothing yet."


SPEECH = {"model": "tts-1", "input": "hi.", "voice": "alloy", "response_format": "pcm"}
CHAT = {"model": "gpt-audio", "messages": [{"role": "user", "content": "hi"}]}
SHOUT = {"content": b"hello", "headers": {"content-type": "text/plain"}}
DEEP = {"content": b"[" * 50_000, "headers": {"content-type": "application/json"}}
WAVE = {"file": ("a.wav", whole_file(utter("hi."), "wav"))}


def heard(**fields: str) -> dict[str, Any]:
    return {"data": {"model": "whisper-1", **fields}, "files": WAVE}


REFUSED: list[tuple[str, str, dict[str, Any], int, str, str | None]] = [
    ("GET", "nothing", {}, 404, "not_found", None),
    ("GET", "realtime", {}, 404, "not_found", None),
    ("PUT", "models", {}, 405, "method_not_supported", None),
    ("GET", "audio/speech", {}, 405, "method_not_supported", None),
    ("POST", "audio/speech", {}, 400, "missing_required_parameter", "body"),
    ("POST", "audio/speech", {"json": []}, 400, "invalid_type", "body"),
    ("POST", "audio/speech", SHOUT, 400, "unsupported_content_type", "body"),
    ("POST", "chat/completions", SHOUT, 400, "unsupported_content_type", "body"),
    ("POST", "realtime/client_secrets", SHOUT, 400, "unsupported_content_type", "body"),
    ("POST", "audio/transcriptions", {"json": SPEECH}, 400, "unsupported_content_type", "body"),
    ("POST", "audio/speech", DEEP, 400, "invalid_value", None),
    ("POST", "audio/voices", DEEP, 400, "invalid_json", None),
    ("POST", "audio/speech", {"json": SPEECH | {"model": "tts-9"}}, 404, "model_not_found", "model"),
    ("POST", "audio/speech", {"json": SPEECH | {"speed": "1.5"}}, 400, "invalid_type", "speed"),
    ("POST", "audio/speech", {"json": SPEECH | {"speed": True}}, 400, "invalid_type", "speed"),
    ("POST", "audio/speech", {"json": SPEECH | {"speed": 9}}, 400, "invalid_value", "speed"),
    ("POST", "audio/speech", {"json": SPEECH | {"response_format": "ogg"}}, 400, "invalid_value", "response_format"),
    ("POST", "audio/speech", {"json": SPEECH | {"stream_format": "x"}}, 400, "invalid_value", "stream_format"),
    ("POST", "audio/speech", {"json": SPEECH | {"voice": None}}, 400, "missing_required_parameter", "voice"),
    ("POST", "audio/speech", {"json": SPEECH | {"input": 5}}, 400, "invalid_type", "input"),
    ("POST", "chat/completions", {"json": CHAT | {"stream": "yes"}}, 400, "invalid_type", "stream"),
    ("POST", "chat/completions", {"json": CHAT | {"max_tokens": "9"}}, 400, "invalid_type", "max_tokens"),
    ("POST", "chat/completions", {"json": CHAT | {"messages": "hi"}}, 400, "invalid_type", "messages"),
    ("POST", "audio/transcriptions", heard(response_format="xml"), 400, "invalid_value", "response_format"),
    ("POST", "audio/transcriptions", heard(temperature="hot"), 400, "invalid_value", "temperature"),
    ("POST", "audio/transcriptions", heard(stream="1", response_format="srt"), 400, "invalid_value", "response_format"),
    ("POST", "audio/transcriptions", heard(model="nobody"), 404, "model_not_found", "model"),
    ("POST", "audio/transcriptions", {"data": {"model": "whisper-1", "file": "x"}}, 400, "invalid_type", "file"),
    ("GET", "audio/voices/none", {}, 404, "not_found", "voice_id"),
]


async def test_every_bad_request_gets_one_clear_error(address):
    async with httpx.AsyncClient(base_url=f"{address}/v1", timeout=60) as http:
        for method, path, more, status, code, param in REFUSED:
            answer = await http.request(method, path, **more)
            assert answer.headers["content-type"] == "application/json", (path, answer.text)
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["param"]) == (status, code, param), (path, error)
            assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
            assert len(error["message"]) > 10 and "<class" not in error["message"]


async def test_what_is_left_open_may_be_null(address):
    async with httpx.AsyncClient(base_url=f"{address}/v1", timeout=60) as http:
        body = SPEECH | dict.fromkeys(("speed", "instructions", "stream_format"))
        assert (await http.post("audio/speech", json=body)).status_code == 200
        body = CHAT | dict.fromkeys(("seed", "stream", "tools", "tool_choice", "max_tokens", "modalities", "audio"))
        assert (await http.post("chat/completions", json=body)).status_code == 200


async def test_heads_and_options(address):
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        for path in ("/v1/models", "/healthz", "/"):
            answer = await http.head(path)
            assert answer.status_code == 200 and not answer.content
            assert answer.headers["content-type"] == (await http.get(path)).headers["content-type"]
        answer = await http.options("/v1/audio/voices")
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, POST")


async def test_what_breaks_the_server_is_told_without_a_traceback(monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("secret place")

    monkeypatch.setattr(VoiceStore, "voices", broken)
    with serving() as address:
        async with httpx.AsyncClient(base_url=address, timeout=60) as http:
            answer = await http.get("/v1/audio/voices")
            error = answer.json()["error"]
            assert (answer.status_code, error["code"], error["type"]) == (500, "server_error", "server_error")
            assert "secret" not in answer.text
            assert (await http.get("/v1/models")).status_code == 200


async def test_silence_is_no_speech():
    class Mute(Beeping):
        def step(self, state, active):
            return [Spoken(silence(0), done=True) if on else None for on in active.tolist()]

    with serving(model=replace(fake_model(), speaking=Mute())) as address:
        async with httpx.AsyncClient(base_url=f"{address}/v1", timeout=60) as http:
            for more in ({}, {"response_format": "wav"}, {"stream_format": "sse"}):
                answer = await http.post("audio/speech", json=SPEECH | more)
                assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
