"""The stock `openai` client uses the REST side: speech, transcription, chat, voices, models."""

import asyncio
import base64
import gc
import io
import json
import logging
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

import httpx
import numpy as np
import openai
import pytest
import soundfile
from live_server import serving

from vivavoce.core.errors import CapacityError, TextError, VivavoceError, VoiceError
from vivavoce.core.talk import Say
from vivavoce.core.voice import STOCK
from vivavoce.runtime import api
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import Beeping, decode, fake_model, utter
from vivavoce.server.app import create_app
from vivavoce.server.outputs import checked, unbroken
from vivavoce.server.service import Service
from vivavoce.server.settings import Settings
from vivavoce.server.sound_files import whole_file
from vivavoce.server.speech import wanted_voice
from vivavoce.server.voices import VoiceStore


def read(data: bytes) -> np.ndarray:
    sound, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == 24_000
    return sound


@pytest.mark.parametrize("name", ["wav", "flac", "pcm", "mp3", "opus"])
async def test_speech_in_every_format(client, name):
    answer = await client.audio.speech.create(model="tts-1", voice="alloy", input="good evening.", response_format=name)
    data = answer.content
    sound = np.frombuffer(data, "<i2") / np.float32(32768) if name == "pcm" else read(data)
    assert decode(sound) == "good evening."


async def test_speech_is_streamed_as_bytes_and_as_events(client, address):
    create = client.audio.speech.with_streaming_response.create
    text = "one two three four five six seven."
    async with create(model="gpt-4o-mini-tts", voice="sage", input=text, response_format="pcm") as response:
        assert len([chunk async for chunk in response.iter_bytes(4000)]) > 5
    body = {"model": "tts-1", "voice": "sage", "input": "hi.", "stream_format": "sse", "response_format": "pcm"}
    async with httpx.AsyncClient(base_url=address) as http:
        lines = (await http.post("/v1/audio/speech", json=body)).text.split("\n\n")
    assert '"speech.audio.delta"' in lines[0] and '"speech.audio.done"' in lines[-2]


class Hoarse(Beeping):
    """Loses its voice at a "#"."""

    def step(self, state, active):
        if any(on and "#" in list(todo)[:2] for on, todo in zip(active.tolist(), state.todo, strict=True)):
            raise TextError("'#' cannot be said; write it out")
        return super().step(state, active)


async def test_half_a_recording_never_passes_for_a_whole(caplog):
    body = {"model": "tts-1", "voice": "sage", "input": "good evening #.", "response_format": "pcm"}
    with serving(model=replace(fake_model(), speaking=Hoarse())) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            lines = (await http.post("/v1/audio/speech", json=body | {"stream_format": "sse"})).text.split("\n\n")
            assert '"speech.audio.delta"' in lines[0] and "cannot be said" in lines[-2] and "done" not in lines[-2]
            with pytest.raises(httpx.RemoteProtocolError):
                await http.post("/v1/audio/speech", json=body)
            answer = await http.post("/v1/audio/speech", json=body | {"input": "#"})
            assert answer.status_code == 400 and "cannot be said" in answer.json()["error"]["message"]
            for more in ({}, {"stream_format": "sse"}):
                gc.disable()
                with suppress(httpx.RemoteProtocolError):
                    await http.post("/v1/audio/speech", json=body | {"response_format": "mp3"} | more)
                files = [file for file in gc.get_objects() if type(file) is soundfile.SoundFile]
                gc.enable()
                assert all(file.closed for file in files)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert any(line.startswith("POST /v1/audio/speech broke off: '#' cannot be said") for line in said)
    ours = ("vivavoce", "uvicorn")
    assert not any(record.exc_info for record in caplog.records if record.name.startswith(ours))


async def test_an_answer_that_breaks_off_gives_its_row_back_at_once():
    engine = LiveEngine(replace(fake_model(), speaking=Hoarse()), rows=1)
    asked = api.Respond(api.ReplyOptions(recite="good evening #."))
    answer = create_app(engine, Settings()).state.service.one_turn(api.SessionConfig(), [asked])
    with pytest.raises(VivavoceError) as held:  # an error that is held keeps all its frames, and what they iterate over
        async for _ in unbroken(checked(answer, "input")):
            assert engine.taken == 1
    assert held.value and engine.taken == 0
    engine.stop()


async def test_nobody_waits_for_an_engine_that_has_stopped():
    engine = LiveEngine(fake_model(), rows=1)
    session = await engine.open(api.SessionConfig())
    engine.stop()
    await asyncio.wait_for(session.close(), 5)
    with pytest.raises(CapacityError, match="stopped"):
        await engine.open(api.SessionConfig())


_REFUSED = (
    {"input": ""}, {"voice": "nobody"}, {"response_format": "aac"}, {"input": "x" * 5000},
    {"input": "日本語です"}, {"input": "…"}, {"input": "😀"}, {"input": "One is fine. 日本語です. The end."},
)  # fmt: skip


async def test_speech_refuses_what_cannot_be_said(client):
    for wrong in _REFUSED:
        with pytest.raises(openai.BadRequestError):
            await client.audio.speech.create(**{"model": "tts-1", "voice": "alloy", "input": "hi"} | wrong)
    with pytest.raises(openai.NotFoundError, match="vivavoce-mini"):
        await client.audio.speech.create(model="tts-9", voice="alloy", input="hi")


async def test_transcription_in_every_form(client):
    file = ("order.wav", whole_file(utter("a large latte please."), "wav"))
    create = client.audio.transcriptions.create
    assert (await create(model="whisper-1", file=file)).text == "a large latte please."
    assert await create(model="whisper-1", file=file, response_format="text") == "a large latte please.\n"
    both = ["word", "segment"]
    found = await create(model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=both)
    assert [w.word for w in found.words] == ["a", "large", "latte", "please."]
    assert found.segments[0].text == "a large latte please." and 1.5 < found.duration < 2
    srt = await create(model="whisper-1", file=file, response_format="srt")
    assert srt.startswith("1\n00:00:00,0") and "a large latte please." in srt
    assert (await create(model="whisper-1", file=file, response_format="vtt")).startswith("WEBVTT")
    certain = await create(model="gpt-4o-transcribe", file=file, include=["logprobs"])
    assert certain.logprobs[1].token == "large"


async def test_a_long_recording_is_cut_where_it_is_quiet_and_streamed(client):
    words = " ".join(f"w{number}" for number in range(150))
    sound = np.concatenate([np.append(utter(f"{word} "), np.zeros(2400, np.float32)) for word in words.split()])
    assert len(sound) > 31 * 24_000
    file = ("long.flac", whole_file(sound, "flac"))
    events = [e async for e in await client.audio.transcriptions.create(model="whisper-1", file=file, stream=True)]
    assert [e.type for e in events[:-1]] == ["transcript.text.delta"] * (len(events) - 1) and len(events) > 2
    assert events[-1].text == words == "".join(e.delta for e in events[:-1])


async def test_a_recording_may_be_longer_than_what_may_wait(client):
    sound = np.concatenate([utter("hello there."), np.zeros(11 * 60 * 24_000, np.float32), utter("the end.")])
    file = ("long.flac", whole_file(sound, "flac"))
    found = await client.audio.transcriptions.create(model="whisper-1", file=file, response_format="verbose_json")
    assert found.text == "hello there. the end." and round(found.duration) == round(len(sound) / 24_000)


async def test_transcription_refuses_what_is_no_sound(client):
    create = client.audio.transcriptions.create
    with pytest.raises(openai.BadRequestError, match="not audio"):
        await create(model="whisper-1", file=("x.wav", b"this is text"))
    with pytest.raises(openai.BadRequestError):
        await create(model="whisper-1", file=("x.wav", whole_file(utter("x"), "wav")), language="de")


async def test_chat_with_text_and_sound(client):
    create = client.chat.completions.create
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello."}]
    answer = await create(model="gpt-audio", messages=messages)
    assert answer.choices[0].message.content == "you said: hello." and answer.choices[0].finish_reason == "stop"
    data = base64.b64encode(whole_file(utter("by ear."), "wav")).decode()
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    audio = {"voice": "alloy", "format": "wav"}
    heard = [{"role": "user", "content": [part]}]
    answer = await create(model="gpt-audio", messages=heard, modalities=["text", "audio"], audio=audio)
    said = answer.choices[0].message.audio
    assert said.transcript == "you said: by ear." == decode(read(base64.b64decode(said.data)))
    again = [
        *heard,
        {"role": "assistant", "audio": {"id": said.id}},
        {"role": "user", "content": "what did you just say?"},
    ]
    answer = await create(model="gpt-audio", messages=again)
    assert answer.choices[0].message.content == "i said: you said: by ear."


async def test_chat_hears_what_comes_beside_a_text(client):
    data = base64.b64encode(whole_file(utter("by ear."), "wav")).decode()
    parts = [
        {"type": "text", "text": "repeat"},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]
    answer = await client.chat.completions.create(model="gpt-audio", messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == "you said: repeat by ear."


async def test_chat_says_what_it_does_not_do(client):
    ask = {"role": "user", "content": "hi"}
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    bad = {"type": "function", "function": {"name": "a", "parameters": {"type": "string"}}}
    for wrong, param in (
        ({"messages": [picture]}, "messages[0].content[0]"),
        ({"messages": [ask, {"role": "user", "content": "\ud800"}]}, "messages[1].content"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [bad]}, "tools[0].function.parameters"),
        ({"tool_choice": "required"}, "tool_choice"),
    ):
        body = json.dumps({"model": "gpt-audio", "messages": [ask]} | wrong)
        async with httpx.AsyncClient(base_url=str(client.base_url), timeout=30) as http:
            got = await http.post("chat/completions", content=body, headers={"content-type": "application/json"})
        assert (got.status_code, got.json()["error"]["param"]) == (400, param)


class Selective(Beeping):
    """Leaves letters out that it does not know; ``mute``: it knows none."""

    mute = False

    def step(self, state, active):
        made = super().step(state, active)
        gone = {"unsaid": ("the text has '\u4f60' in it",)} | ({"pcm": np.zeros(0, np.float32)} if self.mute else {})
        return [None if spoken is None else replace(spoken, **gone) for spoken in made]


async def test_chat_says_what_can_be_said_of_an_answer():
    speaking = Selective()
    with serving(model=replace(fake_model(), speaking=speaking)) as url:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
        audio = {"voice": "alloy", "format": "wav"}
        asked = [{"role": "user", "content": "hello"}]
        ask = partial(
            client.chat.completions.create, model="gpt-audio", messages=asked, modalities=["text", "audio"], audio=audio
        )
        said = (await ask()).choices[0].message.audio
        assert decode(read(base64.b64decode(said.data))) == said.transcript
        speaking.mute = True
        with pytest.raises(openai.BadRequestError, match="the text has") as refused:
            await ask()
        assert refused.value.code == "unspeakable_text"


async def test_chat_writes_while_it_thinks_counts_when_asked_and_says_when_it_breaks():
    go_on = threading.Event()

    def slowly(context):
        yield Say("first. ")
        assert go_on.wait(60)
        if "break" in context.entries[-1].text:
            raise TextError("that cannot be said; ask for something else")
        yield Say("second.")

    with serving(model=fake_model(slowly)) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)

        async def stream(text, **more):
            messages = [{"role": "user", "content": text}]
            chunks = await client.chat.completions.create(model="gpt-audio", messages=messages, stream=True, **more)
            async for chunk in chunks:
                found.append(chunk)
                if chunk.choices and chunk.choices[0].delta.content:
                    go_on.set()  # the first words are here before the last are thought
            return found

        found = []
        await stream("hi", stream_options={"include_usage": True})
        assert "".join(c.choices[0].delta.content or "" for c in found if c.choices) == "first. second."
        assert found[-1].choices == [] and found[-1].usage.completion_tokens > 0
        assert all(chunk.usage is None for chunk in found[:-1])
        found = []
        with pytest.raises(openai.APIError, match="cannot be said"):
            await stream("break")
        assert found[-1].choices[0].finish_reason is None


async def test_chat_streams_and_calls(client):
    tool = {"type": "function", "function": {"name": "order_drink", "parameters": {"type": "object"}}}
    ask = [{"role": "user", "content": "a small mocha"}]
    stream = await client.chat.completions.create(model="gpt-audio", messages=ask, tools=[tool], stream=True)
    chunks = [chunk async for chunk in stream]
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert calls[0].function.name == "order_drink" and '"size": "small"' in calls[0].function.arguments
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "one small mocha coming."
    function = {"name": "order_drink", "arguments": calls[0].function.arguments}
    called = {"role": "assistant", "tool_calls": [{"id": calls[0].id, "type": "function", "function": function}]}
    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "Done"}
    answer = await client.chat.completions.create(model="gpt-audio", messages=[*ask, called, result], tools=[tool])
    assert answer.choices[0].message.content == "the tool says done."


async def test_models_and_health(client, address):
    known = [model.id async for model in client.models.list()]
    assert known[0] == "vivavoce-mini" and {"gpt-realtime", "whisper-1", "tts-1"} <= set(known)
    assert (await client.models.retrieve("whisper-1")).owned_by == "vivavoce"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("whisper-99")
    async with httpx.AsyncClient(base_url=address) as http:
        assert (await http.get("/healthz")).json()["status"] == "ok"
        assert "vivavoce_rows_total" in (await http.get("/metrics")).text


async def test_a_body_without_a_length_is_counted():
    async def endless():
        for _ in range(100):
            yield b"x" * 1000

    with serving(Settings(port=0, upload_bytes=50_000)) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            kind = {"content-type": "application/json"}
            answer = await http.post("/v1/audio/speech", content=endless(), headers=kind)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
            assert (await http.get("/healthz")).status_code == 200


async def test_pages_of_allowed_origins_may_call_and_nonsense_is_refused():
    page = {"origin": "https://app.example"}
    with serving(Settings(port=0, origins=("https://app.example",), api_keys=("right",))) as address:
        async with httpx.AsyncClient(base_url=address) as http:
            asks = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
            answer = await http.options("/v1/realtime/calls", headers=page | asks)
            assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == page["origin"]
            answer = await http.get("/v1/models", headers=page | {"authorization": "Bearer right"})
            assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == page["origin"]
            answer = await http.get("/v1/models", headers=page)  # even a refusal can be read by the page
            assert answer.status_code == 401 and answer.headers["access-control-allow-origin"] == page["origin"]
            for wrong in ({"origin": "https://other.example"}, {"origin": "http://[::1"}, {"host": "[::1"}):
                answer = await http.get("/v1/models", headers=wrong)
                assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers


async def test_a_body_that_is_not_json_is_said_to_be_none(address):
    async with httpx.AsyncClient(base_url=address) as http:
        headers = {"content-type": "application/json"}
        answer = await http.post("/v1/audio/speech", content=b"{nonsense", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_what_is_missing_or_cannot_be_written_down_is_named(address):
    kind = {"content-type": "application/json"}
    async with httpx.AsyncClient(base_url=f"{address}/v1") as http:
        for answer, param in (
            (await http.post("audio/transcriptions", data={"model": "whisper-1"}), "file"),
            (await http.post("audio/speech", json={"model": "tts-1", "input": "hi"}), "voice"),
            (await http.post("audio/speech"), "body"),
            (await http.get("audio/voice_consents", params={"limit": "many"}), "limit"),
            (
                await http.post("realtime/client_secrets", content='{"session": {"type": "\\ud800"}}', headers=kind),
                "session.type",
            ),
        ):
            assert answer.status_code == 400, answer.text
            error = answer.json()["error"]
            assert (error["param"] == param and f"'{param}'" in error["message"]) or param == "session.type"


async def test_instructions_are_added_to_a_voice():
    service = Service.make(LiveEngine(fake_model(), rows=1, threads=0), Settings(port=0))
    voice = wanted_voice(service, "coral", "slow and quiet", 1.0)
    assert voice.description == f"{STOCK['coral']}, slow and quiet"


class Choosy(Beeping):
    """Imitates nobody."""

    def begin(self, state, row, voice, seed):
        if voice.clip:
            raise VoiceError("the clip has 1.2 s of speech; give a longer one")


async def test_a_clip_that_cannot_be_imitated_is_refused_when_it_is_given(tmp_path):
    clip = ("me.wav", whole_file(utter("this is how i sound to everybody."), "wav"))
    model = replace(fake_model(), speaking=Choosy())
    with serving(Settings(port=0, data=tmp_path), model=model) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        consent = await client.audio.voice_consents.create(name="me", language="en", recording=clip)
        with pytest.raises(openai.BadRequestError, match=r"1\.2 s of speech"):
            await client.audio.voices.create(name="me", audio_sample=clip, consent=consent.id, type="audio_sample")
        async with httpx.AsyncClient(base_url=address) as http:
            assert (await http.get("/v1/audio/voices")).json()["data"] == []


async def test_a_clip_that_was_kept_on_the_command_line_speaks_by_its_name(tmp_path):
    store = VoiceStore(tmp_path)
    kept = store.add_clip("Elra", whole_file(utter("this is how i sound to everybody."), "wav"), "Elra Smith")
    store.close()
    with serving(Settings(port=0, data=tmp_path)) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)

        async def says(voice: str) -> bytes:
            made = await client.audio.speech.create(model="tts-1", voice=voice, input="hi.", response_format="pcm")
            return made.content

        assert await says("Elra") == await says(kept.id)
        with pytest.raises(openai.BadRequestError):
            await says("Elro")
        assert [(one.id, one.name) async for one in client.audio.voice_consents.list()] == [
            (kept.consent, "Elra Smith")
        ]


async def test_a_cloned_voice_needs_consent_and_survives_a_restart(tmp_path):
    clip = ("me.wav", whole_file(utter("this is how i sound to everybody."), "wav"))
    with serving(Settings(port=0, data=tmp_path)) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        with pytest.raises(openai.PermissionDeniedError, match="voice_consents"):
            await client.audio.voices.create(name="me", audio_sample=clip, consent="cons_none")
        consent = await client.audio.voice_consents.create(name="me", language="en", recording=clip)
        voice = await client.audio.voices.create(name="me", audio_sample=clip, consent=consent.id, type="audio_sample")
        dwarf = await client.audio.voices.create(type="prompt", name="dwarf", prompt="a grumpy dwarf")
        assert (voice.type, dwarf.type, dwarf.prompt) == ("audio_sample", "prompt", "a grumpy dwarf")
        await client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="hi.", response_format="pcm")
    with serving(Settings(port=0, data=tmp_path)) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        assert [c.id async for c in client.audio.voice_consents.list()] == [consent.id]
        assert (await client.audio.voice_consents.update(consent.id, name="myself")).name == "myself"
        await client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="hi.", response_format="pcm")
        await client.audio.voice_consents.delete(consent.id)
        with pytest.raises(openai.BadRequestError):
            await client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="hi.")
        await client.audio.voices.delete(dwarf.id)
        with pytest.raises(openai.NotFoundError):
            await client.audio.voices.delete(dwarf.id)


def test_what_is_deleted_is_gone_and_nobody_else_reads_the_rest(tmp_path):
    store = VoiceStore(tmp_path)
    file = tmp_path / "voices.sqlite"
    recordings = [b"how I agree " * 1000, b"how I sound " * 1000]
    consent = store.add_consent("me", "en", recordings[0])
    store.add_voice("me", sample=recordings[1], consent=consent.id)
    assert all(recording[:100] in file.read_bytes() for recording in recordings)
    assert file.stat().st_mode & 0o077 == 0
    store.delete_consent(consent.id)
    assert not store.voices() and not any(recording[:100] in file.read_bytes() for recording in recordings)
    store.close()


async def test_rest_beyond_capacity():
    with serving(rows=1) as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with client.realtime.connect(model="gpt-realtime") as connection:
            await connection.recv()
            with pytest.raises(openai.InternalServerError, match="taken"):
                await client.audio.speech.create(model="tts-1", voice="alloy", input="hi.")
