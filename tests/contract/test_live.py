"""`/v1/live`: a frame for a frame, whatever is behind it; nothing is lost, and a bad event never ends the session."""

import asyncio
import base64
import json
import re
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import websockets
from live_server import serving
from torch import Tensor
from websockets.asyncio.client import ClientConnection

from vivavoce.assistant.duplex import is_duplex, load_duplex
from vivavoce.assistant.model import load
from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import save_part
from vivavoce.core.talk import Frame
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.fake import decode, silence, utter
from vivavoce.runtime.model import Pcm
from vivavoce.server.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "laws"))
from test_duplex_session import HOP, Parrot, ParrotState, moshi, voice  # pyright: ignore[reportMissingImports]

QUESTION = np.concatenate([silence(200), utter("a latte please."), silence(100)])


def connect(address: str, **more: Any) -> Any:
    return websockets.connect(address.replace("http", "ws") + "/v1/live", max_size=None, **more)


class Live:
    """A stream that remembers all it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.events, self.sound = socket, [], []

    async def start(self, **session: Any) -> dict:
        await self.say(type="session.start", session=session)
        return (await self.until("session.started"))["session"]

    async def say(self, **event: Any) -> None:
        await self.socket.send(json.dumps(event))

    async def next(self) -> dict | bytes:
        message = await asyncio.wait_for(self.socket.recv(), 60)
        if isinstance(message, bytes):
            self.sound.append(message)
            return message
        self.events.append(json.loads(message))
        return self.events[-1]

    async def until(self, kind: str) -> dict:
        while not isinstance(event := await self.next(), dict) or event["type"] != kind:
            pass
        return event

    async def frame(self, data: bytes) -> bytes:
        """Sends a frame and waits for the one that comes back."""
        await self.socket.send(data)
        while not isinstance(message := await self.next(), bytes):
            pass
        return message

    async def play(self, pcm: Pcm) -> None:
        data = to_int16(pcm).tobytes()
        for at in range(0, len(data) // 1920 * 1920, 1920):
            await self.frame(data[at : at + 1920])

    async def listen(self, until: str, seconds: float = 60) -> str:
        """Silence until the sound of all answers ends with this; what they said."""
        said, quiet = "", 0
        for _ in range(round(seconds * 25)):
            quiet = 0 if any(await self.frame(bytes(1920))) else quiet + 1
            if quiet == 5 and (said := decode(self.pcm)).endswith(until):
                break
        return said

    @property
    def pcm(self) -> Pcm:
        return to_float(np.frombuffer(b"".join(self.sound), "<i2"))

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["type"] == kind]


async def test_a_question_is_answered_while_sound_flows_and_who_interrupts_is_heard(address: str):
    async with connect(address) as socket:
        live = Live(socket)
        session = await live.start()
        assert (session["kind"], session["frame_ms"], session["output"]["frame_bytes"]) == ("turns", 40, 1920)
        await live.play(QUESTION)
        while not any(live.sound[-1]):
            await live.play(silence(40))
        assert live.of("heard")[-1]["text"] == "a latte please."
        assert "".join(event["delta"] for event in live.of("text")) == "you said: a latte please."
        await live.play(np.concatenate([silence(1000), utter("stop it.")]))
        assert live.of("output.cut")
        said = await live.listen("you said: stop it.")
        assert said.endswith("you said: stop it.") and "please." not in said
        frames = len(live.sound)
        await live.say(type="session.close")
        closed = await live.until("session.closed")
        assert (closed["reason"], closed["heard_ms"], closed["sounded_ms"]) == ("completed", 40 * frames, 40 * frames)
        assert len(live.sound) == frames


NONSENSE = [
    ("", "invalid_json", None),
    ("[1]", "invalid_event", None),
    ('{"type": "response.create"}', "invalid_event", "type"),
    ('{"kind": "audio"}', "missing_required_parameter", "type"),
    ('{"type": "session.start"}', "session_already_started", None),
    ('{"type": "audio"}', "missing_required_parameter", "audio"),
    ('{"type": "audio", "audio": "a"}', "invalid_value", "audio"),
    ('{"type": "audio", "audio": "", "colour": 1}', "unknown_parameter", "colour"),
    ('{"type": "tool.result", "call_id": "x"}', "missing_required_parameter", "output"),
    ("[" * 100_000, "invalid_json", None),
]
BAD_STARTS = [
    ({"input": {"format": {"type": "audio/pcm", "rate": 44100}}}, "session.input.format.rate"),
    ({"output": {"voice": "nobody"}}, "session.output.voice"),
    ({"input": {"language": "tlh"}}, "session.input.language"),
    ({"tools": [{"name": "x", "parameters": {"type": "array"}}]}, "session.tools[0].parameters"),
]


async def test_a_bad_event_gets_one_error_and_the_session_lives(address: str):
    async with connect(address) as socket:
        live = Live(socket)
        await socket.send(bytes(1920))
        assert (await live.until("error"))["error"]["code"] == "session_not_started"
        await live.say(type="output.stop", event_id="early")
        error = (await live.until("error"))["error"]
        assert (error["code"], error["event_id"]) == ("session_not_started", "early")
        for session, param in BAD_STARTS:
            await live.say(type="session.start", session=session)
            assert (await live.until("error"))["error"]["param"] == param
        await live.start()
        for message, code, param in NONSENSE:
            await socket.send(message)
            error = (await live.until("error"))["error"]
            assert (error["code"], error["param"]) == (code, param), message[:80]
        assert len(await live.frame(bytes(1920))) == 1920
        assert len(live.of("error")) == 2 + len(BAD_STARTS) + len(NONSENSE)


@pytest.mark.parametrize("rate, kind", [(16000, "audio/pcm"), (48000, "audio/pcm"), (8000, "audio/pcmu")])
async def test_other_rates_give_a_frame_for_a_frame(address: str, rate: int, kind: str):
    async with connect(address) as socket:
        live = Live(socket)
        sound = {"type": kind, **({"rate": rate} if kind == "audio/pcm" else {})}
        session = await live.start(
            input={"format": sound}, output={"format": {"type": "audio/pcm", "rate": 16000}, "transport": "base64"}
        )
        assert session["output"]["frame_bytes"] == 1280
        size = rate // 25 * (2 if kind == "audio/pcm" else 1)
        data = b"\x01" * (10 * size)
        for at in range(0, len(data), 777):  # cut anywhere
            await live.say(type="audio", audio=base64.b64encode(data[at : at + 777]).decode())
        await live.say(type="session.close")
        assert (await live.until("session.closed"))["heard_ms"] == 400
        heard = [event for event in live.events if event["type"] == "audio"]
        assert [event["at_ms"] for event in heard] == list(range(0, 400, 40))
        assert {len(base64.b64decode(event["audio"])) for event in heard} == {1280}


class Breaking(Parrot):
    """Says "ok" now and then, and breaks where the sound is too loud."""

    def step(self, heard: Tensor, state: ParrotState, active: Tensor | None = None) -> list[Frame]:
        if float(heard.max()) > 0.9:
            raise RuntimeError("too loud")
        return super().step(heard, state, active)


def test_a_duplex_model_is_served_as_it_is():
    async def converse(address: str) -> None:
        async with connect(address) as socket:
            live = Live(socket)
            await live.say(type="session.start", session={"instructions": "Be kind."})
            error = (await live.until("error"))["error"]
            assert (error["code"], error["param"]) == ("unsupported_by_model", "session.instructions")
            session = await live.start()
            assert (session["kind"], session["model"], session["frame_ms"]) == ("duplex", "parrot", 40)
            async with connect(address) as second:  # one row, one stream
                other = Live(second)
                await other.say(type="session.start")
                assert (await other.until("error"))["error"]["code"] == "capacity"
                assert (await other.until("session.closed"))["reason"] == "capacity"
            # all at once, far more than may wait: nothing is lost
            sound = np.concatenate([voice(3), silence(2000), np.full(HOP, 0.95, np.float32), silence(2960)])
            await socket.send(to_int16(sound).tobytes())
            await live.say(type="tool.result", call_id="x", output="y")
            await live.say(type="session.close")
            closed = await live.until("session.closed")
            assert closed["heard_ms"] == len(sound) // 24 == 40 * len(live.sound)
            assert [(event["at_ms"], event["delta"]) for event in live.of("text")] == [
                (120, " word"), (280, " word"), (440, " word"),
            ]  # fmt: skip
            loud = np.flatnonzero(np.abs(live.pcm.reshape(-1, HOP)).max(1) > 0.05)
            assert loud.tolist() == list(range(3, 15))
            codes = [event["error"]["code"] for event in live.of("error")]
            assert sorted(codes[-2:]) == ["server_error", "unsupported_by_model"]
            assert live.of("session.behind")

    engine = DuplexEngine(Breaking(), rows=1)
    with serving(rows=1, duplex=engine, duplex_name="parrot") as address:
        asyncio.run(converse(address))


def test_a_folder_of_a_run_is_served(tmp_path: Path):
    model = moshi()
    save_part(tmp_path, "moshi", model.model.config, model.model)
    save_part(tmp_path, "codec", model.codec.config, model.codec)
    with pytest.raises(ConfigError, match=r"takes no turns; serve it.*vivavoce serve --model"):
        load(tmp_path)
    assert is_duplex(tmp_path) and not is_duplex("")

    async def converse(address: str) -> None:
        async with connect(address) as socket:
            live = Live(socket)
            session = await live.start(seed=3)
            assert session["kind"] == "duplex" and session["delay_ms"] >= session["frame_ms"] == 40  # a frame later
            for _ in range(4):
                assert len(await live.frame(bytes(1920))) == 1920
            assert not any(live.sound[0]) and not live.of("error")  # its own books of a frame are whole a frame later

    with serving(rows=1, duplex=DuplexEngine(load_duplex(tmp_path), rows=1), duplex_name="run") as address:
        asyncio.run(converse(address))


def test_keys_are_asked_for():
    async def knock(address: str) -> None:
        async with connect(address) as socket:
            assert json.loads(await socket.recv())["error"]["code"] == "invalid_api_key"
        async with connect(address, additional_headers={"Authorization": "Bearer k"}, subprotocols=["live"]) as socket:
            assert socket.subprotocol == "live"
            assert (await Live(socket).start())["kind"] == "turns"

    with serving(Settings(port=0, api_keys=("k",)), rows=1) as address:
        asyncio.run(knock(address))


def test_the_client_of_the_document_hears_an_answer(address: str, tmp_path: Path):
    document = Path(__file__).resolve().parents[2] / "docs/live.md"
    (code,) = re.findall(r"^```python\n(.*?)^```", document.read_text(), re.M | re.S)
    changed = code.replace("ws://127.0.0.1:8765", address.replace("http", "ws")).replace("time.sleep(seconds)", "pass")
    assert changed.count(address.removeprefix("http")) == 1 and "sleep" not in changed
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(to_int16(QUESTION).tobytes())
    done = subprocess.run([sys.executable, "-c", changed], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("you said: a latte please.")
    with wave.open(str(tmp_path / "answer.wav")) as file:
        said = to_float(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    assert decode(said) == "you said: a latte please."
