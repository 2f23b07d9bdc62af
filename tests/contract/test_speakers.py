"""Other people's voices: an endpoint of speech, also a server of ours, and Kokoro."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from live_server import serving, talking
from openai import AsyncOpenAI, BadRequestError, InternalServerError, NotFoundError, OpenAI

import vivavoce
from vivavoce.assistant.kokoro import KokoroVoice, written
from vivavoce.assistant.remote import endpoint_of
from vivavoce.assistant.speakers import speaker_of
from vivavoce.assistant.synthesis import PhraseMouth
from vivavoce.assistant.thinking import restyled
from vivavoce.assistant.timing import WordTiming
from vivavoce.assistant.voice_endpoint import EndpointVoice
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError, PartError, SpeakerError, VoiceError
from vivavoce.core.voice import Consent, Voice
from vivavoce.hub.kokoro import LONGEST, Kokoro
from vivavoce.runtime.fake import fake_model, utter
from vivavoce.runtime.model import Used
from vivavoce.text.dictionary import dictionary_words
from vivavoce.text.ipa import SYMBOLS
from vivavoce.text.normalise import phrases

ON = torch.ones(1, dtype=torch.bool)
LISTENER = vivavoce.load()
TIMING = WordTiming(lambda: LISTENER.listener)


def spoken(mouth: PhraseMouth, text: str, voice: Voice | None = None) -> tuple[np.ndarray, list[Any], str]:
    """Sound, words and trouble of a text."""
    state = mouth.init_state(1)
    mouth.begin(state, 0, voice or Voice(), 0)
    mouth.feed(state, 0, text, True)
    pcm: list[np.ndarray] = []
    words: list[Any] = []
    while (step := mouth.step(state, ON)[0]) is not None:
        pcm.append(step.pcm)
        words += step.words
        if step.done:
            return np.concatenate(pcm), words, step.trouble
    raise AssertionError("it fell silent before it was done")


# ---- an endpoint ----


class Endpoint(BaseHTTPRequestHandler):
    """Answers each sentence by the next of ``script``: a status, or a kind of content and its pieces."""

    protocol_version = "HTTP/1.1"
    script: list[Any]
    bodies: list[dict[str, Any]]
    keys: list[str | None]
    hold: threading.Event

    def do_GET(self) -> None:
        self._send(404, "application/json", b'{"error": {"message": "no list"}}')

    def do_POST(self) -> None:
        kind = type(self)
        kind.keys.append(self.headers.get("Authorization"))
        kind.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        step = kind.script.pop(0)
        if step == "hold":
            kind.hold.wait(20)
            self.close_connection = True
        elif isinstance(step, int):
            self._send(step, "application/json", b'{"error": {"message": "not now"}}')
        else:
            content, data, *missing = step
            self._send(200, content, data, more=sum(missing))

    def _send(self, status: int, content: str, data: bytes, more: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content)
        self.send_header("Content-Length", str(len(data) + more))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = bool(more)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., PhraseMouth]]:
    monkeypatch.setenv("VIVAVOCE_SPEAKER_KEY", "geheim")
    Endpoint.script, Endpoint.bodies, Endpoint.keys, Endpoint.hold = [], [], [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def mouth(*script: Any, patience: float = 5.0) -> PhraseMouth:
        Endpoint.script = list(script)
        where = f"http://127.0.0.1:{server.server_port}/v1#small"
        return PhraseMouth(EndpointVoice(endpoint_of(where, patience, what="speaker"), TIMING))

    yield mouth
    Endpoint.hold.set()
    server.shutdown()


def pcm_of(text: str) -> bytes:
    return (utter(text) * 32767).astype("<i2").tobytes()


def wave_of(text: str, rate: int = 24_000) -> bytes:
    data = pcm_of(text)
    fields = (16, 4), (1, 2), (1, 2), (rate, 4), (rate * 2, 4), (2, 2), (16, 2)
    head = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return b"RIFF\xff\xff\xff\xffWAVEfmt " + head + b"data\xff\xff\xff\xff" + data


def test_sentences_are_asked_for_one_by_one_and_their_words_keep_their_places(endpoint: Callable) -> None:
    text = "Hello to you. Good bye!"
    mouth = endpoint(("audio/pcm", pcm_of("hello to you")), ("audio/wav", wave_of("good bye")))
    pcm, words, trouble = spoken(mouth, text, Voice(name="nova", description="a bright, fast voice of a woman, sad"))
    assert not trouble and len(pcm) == len(utter("hello to yougood bye"))
    assert [text[slice(*word.span)] for word in words] == ["Hello", "to", "you", "Good", "bye"]
    assert [word.end for word in words] == sorted(word.end for word in words)
    assert all(word.end <= len(utter("hello to you")) <= words[3].start for word in words[:3])
    asked = {"model": "small", "voice": "nova", "response_format": "pcm", "speed": 1.0, "instructions": "sad"}
    assert Endpoint.bodies == [{**asked, "input": "Hello to you."}, {**asked, "input": "Good bye!"}]
    assert Endpoint.keys == ["Bearer geheim"] * 2


def test_what_we_cannot_read_the_endpoint_may_be_able_to_say(endpoint: Callable) -> None:
    text = "你好 世界。"
    pcm, words, trouble = spoken(endpoint(("audio/pcm", pcm_of("ni hao"))), text)
    assert not trouble and len(pcm) and [text[slice(*word.span)] for word in words] == ["你好", "世界。"]


FAULTS: dict[str, tuple[tuple[Any, ...], str]] = {
    "refused": ((401,), r"refused \(401: not now\); correct VIVAVOCE_SPEAKER_KEY"),
    "busy twice": ((503, 503), "refused"),
    "no sound": ((("audio/pcm", b""),), "gave no sound for 'Hello to you.'"),
    "no sound but text": ((("text/html", b"<html>"),), "answers with text/html instead of sound"),
    "another rate": ((("audio/wav", wave_of("hello", 16_000)),), "16 bits at 16000 Hz"),
    "broken off": ((("audio/pcm", pcm_of("hel"), 10_000),), "broke off in the middle of a sentence"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_and_what_was_heard_before_it_stays(fault: str, endpoint: Callable) -> None:
    script, message = FAULTS[fault]
    pcm, _, trouble = spoken(endpoint(("audio/pcm", pcm_of("well")), *script), "Well. Hello to you. And more.")
    assert len(pcm) >= len(utter("well"))
    with pytest.raises(SpeakerError, match=message):
        raise SpeakerError(trouble)
    assert "geheim" not in trouble


def test_it_is_asked_again_where_it_was_busy(endpoint: Callable) -> None:
    pcm, _, trouble = spoken(endpoint(503, ("audio/pcm", pcm_of("well"))), "Well.")
    assert not trouble and len(pcm)


def test_an_endpoint_that_says_nothing_or_is_not_there(endpoint: Callable) -> None:
    _, _, trouble = spoken(endpoint("hold", "hold", patience=0.2), "Well.")
    assert "is not reached" in trouble and "timed out" in trouble
    nowhere = PhraseMouth(EndpointVoice(endpoint_of("http://127.0.0.1:9/v1#x", 1.0, what="speaker"), TIMING))
    assert "is not reached" in spoken(nowhere, "Well.")[2]
    with pytest.raises(ConfigError, match=r"no address of a speaker; wanted http://HOST:PORT/v1#MODEL"):
        speaker_of("http://#x", lambda: LISTENER.listener)


async def test_a_server_of_ours_speaks_for_another_one() -> None:
    with serving() as voice:
        speaking = speaker_of(f"{voice}/v1#tts-1", lambda: LISTENER.listener)
        assert isinstance(speaking, PhraseMouth) and "alloy" in speaking.voices
        with serving(model=replace(fake_model(), speaking=speaking)) as address:
            client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
            async with talking(client) as live:
                await live.connection.response.create(response={"instructions": 'Say exactly: "hello there. bye."'})
                await live.until("response.done")
                assert live.heard().replace(" ", "").startswith("howcanihelpyou")
            with pytest.raises(BadRequestError, match="has no voice 'a wise old owl'; its voices are alloy"):
                await client.audio.speech.create(model="tts-1", voice="a wise old owl", input="Hello.")


async def test_where_the_voice_is_gone_the_answer_is_read_and_the_client_is_told() -> None:
    gone = PhraseMouth(EndpointVoice(endpoint_of("http://127.0.0.1:9/v1#x", 1.0, what="speaker"), TIMING))
    with serving(model=replace(fake_model(), speaking=gone)) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with talking(client) as live:
            await live.connection.response.create()
            error = (await live.until("error")).error
            assert error.code == "speaking_failed" and "is not reached" in error.message
            done = (await live.until("response.done")).response
            assert done.status == "completed" and done.output[0].content[0].transcript == "how can i help you?"
            assert error.type == "server_error"
        with pytest.raises(InternalServerError, match="is not reached") as failed:
            await client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.")
        assert failed.value.status_code == 502 and failed.value.code == "speaking_failed"


# ---- Kokoro ----


@pytest.fixture(scope="module")
def kokoro(fetched: Callable[[str], Path]) -> PhraseMouth:
    return PhraseMouth(KokoroVoice(fetched("kokoro-ja"), TIMING, "kokoro-ja"))


def test_every_word_of_the_dictionary_can_be_written_for_it() -> None:
    from vivavoce.hub.kokoro import ids_of

    assert ids_of("".join(sorted(SYMBOLS)))
    for word in dictionary_words()[::400]:
        if word.strip("'").isalpha() and word.isascii():
            said = [each for phrase in phrases(f"{word}, the apple to a butter.") for each in phrase.words]
            assert len(ids_of(written(said).symbols)) <= LONGEST


def test_written_as_it_was_taught() -> None:
    said = [word for phrase in phrases("The apple, a better day to you.") for word in phrase.words]
    assert written(said).symbols == "ði ˈæpᵊl, ɐ bˈɛTəɹ dˈA tə jˈu."


def test_kokoro_says_all_words_and_knows_when(kokoro: PhraseMouth) -> None:
    text = "The capital of France is Paris, and it has 2 airports. Good bye!"
    pcm, words, trouble = spoken(kokoro, text, Voice.preset("jf_alpha"))
    assert not trouble and 2.5 < len(pcm) / 24_000 < 9
    places = [text[slice(*word.span)] for word in words]
    assert places == "The capital of France is Paris and it has 2 airports Good bye".split()
    assert all(a.end <= b.start + 1200 for a, b in pairwise(words))
    read = [word for phrase in phrases(text) for word in phrase.words]
    off = [abs(a.start - b.start) for a, b in zip(words, TIMING.words(pcm, read), strict=True)]
    assert np.median(off) < 0.12 * 24_000, "its durations are not when the words are heard"


def test_whisper_understands_kokoro(kokoro: PhraseMouth, fetched: Callable[[str], Path]) -> None:
    faster_whisper = pytest.importorskip("faster_whisper")
    pcm, _, _ = spoken(kokoro, "The capital of France is Paris.")
    ears = faster_whisper.WhisperModel(str(fetched("whisper-base")), device="cpu", compute_type="int8", cpu_threads=1)
    wave = resample(torch.from_numpy(pcm)[None], 24_000, 16_000)[0].numpy()
    heard = " ".join(piece.text for piece in ears.transcribe(wave, beam_size=1, language="en")[0]).lower()
    assert "capital of france is paris" in heard


def test_its_voices_are_listed_and_others_refused(kokoro: PhraseMouth) -> None:
    used = (Used(role="speaker", name="kokoro-ja"),)
    with serving(model=replace(fake_model(), speaking=kokoro, used=used)) as address:
        listed = httpx.get(f"{address}/v1/audio/voices").json()
        assert listed["presets"] == ["jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro", "jm_kumo"]
        client = OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        with pytest.raises(BadRequestError, match="no voice 'a gruff old innkeeper'; its voices are jf_alpha"):
            client.audio.speech.create(model="tts-1", voice="a gruff old innkeeper", input="Hello.")
        answer = httpx.post(f"{address}/v1/audio/voices", json={"type": "prompt", "name": "x", "prompt": "an elf"})
        assert answer.status_code == 400 and "has no voice 'an elf'" in answer.json()["error"]["message"]
        assert "kokoro-ja" in [model.id for model in client.models.list()]
        for name in ("tts-1", "kokoro-ja"):
            said = client.audio.speech.create(model=name, voice="onyx", input="Hello.", response_format="pcm").content
            assert len(said) > 24_000
        with pytest.raises(NotFoundError, match="'kokoro' does not exist here; there are: vivavoce-mini, kokoro-ja"):
            client.audio.speech.create(model="kokoro", voice="onyx", input="Hello.")
    for voice in (Voice.like(b"clip", Consent("I")), Voice.preset("nobody")):
        with pytest.raises(VoiceError, match="its voices are jf_alpha"):
            kokoro.check(voice)


def test_a_voice_that_is_named_in_words_is_that_voice_and_can_be_asked_to_be_quick(
    kokoro: PhraseMouth, caplog: pytest.LogCaptureFixture
) -> None:
    lengths = []
    for voice in (Voice.preset("jm_kumo"), Voice.described("jm_kumo"), restyled(Voice.described("jm_kumo"), "fast")):
        kokoro.check(voice)
        lengths.append(len(spoken(kokoro, "Good evening.", voice)[0]))
    assert lengths[0] == lengths[1] > 1.1 * lengths[2]
    assert not caplog.records  # nobody says that no word of the name is known


def test_a_folder_that_is_no_kokoro(tmp_path: Path, kokoro: PhraseMouth) -> None:
    np.savez(tmp_path / "voices.npz", one=np.zeros((3, 1, 8), np.float32))
    with pytest.raises(PartError, match=r"0 \.onnx files"):
        Kokoro(tmp_path)
    (tmp_path / "k.onnx").write_bytes(b"\x08\x07nothing of the kind")
    with pytest.raises(PartError, match="cannot be loaded"):
        Kokoro(tmp_path)
    np.save(tmp_path / "x.npy", np.array([object()], dtype=object), allow_pickle=True)
    (tmp_path / "x.npy").rename(tmp_path / "voices.npz")
    with pytest.raises(PartError, match="cannot be read"):
        Kokoro(tmp_path)
    with pytest.raises(ConfigError, match="there is no speaker 'kokoko'; give mini, kokoro, kokoro-ja"):
        speaker_of("kokoko", lambda: LISTENER.listener)
