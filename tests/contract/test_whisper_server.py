"""Whisper as the ears of a server as its users start it: recordings, and people who speak."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from live_server import talking
from openai import AsyncOpenAI

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.evals.served import served
from vivavoce.runtime.model import RATE

pytestmark = pytest.mark.slow
ORDER = RECORDINGS / "2.ogg"
END = "with a bit of almond milk and some sugar"


@pytest.fixture(scope="module")
def folder(fetched: Callable[[str], Path]) -> Path:
    return fetched("whisper-base")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served("--ears", str(folder), "--ears", "mini", "--rows", "1") as server:
        yield server.address


def plain(text: str) -> str:
    return text.lower().replace(",", "").strip(" .?")


def noise(seconds: float) -> np.ndarray:
    return 0.01 * np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_recordings_are_heard_by_the_ears_that_are_named(address: str, folder: Path) -> None:
    with httpx.Client(base_url=f"{address}/v1", timeout=120) as http:

        def heard(route: str, sound: bytes, **form: str) -> httpx.Response:
            return http.post(f"/audio/{route}", data=form, files={"file": sound})

        assert {folder.name, "mini"} <= {each["id"] for each in http.get("/models").json()["data"]}
        told = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
        theirs = heard("transcriptions", ORDER.read_bytes(), model="whisper-1", **told).json()
        assert plain(theirs["text"]).endswith(END) and theirs["language"] == "english"
        assert [word["start"] for word in theirs["words"]] == sorted(word["start"] for word in theirs["words"])
        ours = heard("transcriptions", ORDER.read_bytes(), model="mini").json()
        assert ours["text"] == ours["text"].lower() and "almond milk" in ours["text"]
        refused = heard("transcriptions", ORDER.read_bytes(), model="nobody")
        assert refused.status_code == 404 and folder.name in refused.json()["error"]["message"]
        assert plain(heard("translations", ORDER.read_bytes(), model=folder.name).json()["text"]).endswith(END)
        refused = heard("translations", ORDER.read_bytes(), model="mini")
        assert refused.status_code == 400 and "do not translate" in refused.json()["error"]["message"]
        file = io.BytesIO()
        soundfile.write(file, noise(3), RATE, format="WAV")
        assert heard("transcriptions", file.getvalue(), model=folder.name).json()["text"] == ""


async def test_who_speaks_is_written_down_while_speaking_and_noise_is_not(address: str, folder: Path) -> None:
    order = read_audio(ORDER, RATE)[0].numpy()
    heard = {"transcription": {"model": folder.name, "language": "en"}, "turn_detection": {"type": "server_vad"}}
    client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
    async with talking(client, intent="transcription") as live:
        await live.connection.session.update(session={"type": "transcription", "audio": {"input": heard}})
        await live.until("session.updated")
        await live.say(np.concatenate([noise(2), order, noise(2)]))
        done = await live.until("conversation.item.input_audio_transcription.completed")
        assert plain(done.transcript).endswith(END)
        shown = "".join(e.delta for e in live.of("conversation.item.input_audio_transcription.delta"))
        assert shown.strip() == done.transcript.strip()
        assert len(live.of("input_audio_buffer.committed")) == 1
