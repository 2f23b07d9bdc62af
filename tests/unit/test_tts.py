"""Parts of the measurement of speakers that can be known beforehand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from vivavoce.assistant.saying import Streamer
from vivavoce.audio.files import SYNTHETIC
from vivavoce.core.talk import Word
from vivavoce.core.voice import Voice
from vivavoce.data.manifest import Record
from vivavoce.evals import tts
from vivavoce.evals.report import Row
from vivavoce.evals.sphinx import Sphinx
from vivavoce.evals.tts import Judges, Trial, TtsSuite, drift, failure, frechet
from vivavoce.models.codec import Codec
from vivavoce.runtime.model import RATE, Pcm

SOUND = torch.full((1000,), 0.1)
SAID = "the bus to the station leaves every ten minutes".split()


@pytest.mark.parametrize(
    ("heard", "wanted"),
    [
        (SAID, ""),
        (["a", *SAID[1:]], ""),
        (SAID[:-2], "a cut ending"),
        ([*SAID[:2], *SAID[5:]], "words skipped"),
        ([*SAID[:4], *SAID[:4], *SAID], "words repeated"),
    ],
)
def test_failures_are_told(heard: list[str], wanted: str) -> None:
    assert failure(SAID, heard, SOUND) == wanted


def test_silence_is_a_failure_whatever_is_heard() -> None:
    assert failure(SAID, SAID, torch.zeros(1000)) == "silence" == failure(SAID, SAID, torch.zeros(0))


def test_frechet_s_distance_of_known_gaussians() -> None:
    draw = np.random.default_rng(0)
    one = draw.normal(size=(20000, 3))
    other = draw.normal(size=(20000, 3)) * [1, 2, 1] + [3, 0, 0]
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, other) == pytest.approx(9 + (2 - 1) ** 2, rel=0.05)  # means 3 apart, one deviation twice
    assert frechet(one, other) == pytest.approx(frechet(other, one))


class Coded(Codec):
    """A codec that changes nothing."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.config = SimpleNamespace(sample_rate=16_000)  # type: ignore[assignment]

    def encode(self, wave: Any) -> Any:
        return wave

    def decode(self, wave: Any) -> Any:
        return wave


class Deaf(Sphinx):
    """Hears the same whatever is said."""

    def __init__(self) -> None: ...

    def words(self, wave: Any, rate: int) -> list[str]:
        return ["the", "bus"]


class Speaks:
    """Says every word in half a second, and remembers in which voices."""

    def __init__(self) -> None:
        self.voices: list[Voice] = []
        self.words = 0

    def __call__(self, text: str, voice: Voice, seed: int) -> Iterator[tuple[Pcm, Sequence[Word]]]:
        self.voices.append(voice)
        for number, word in enumerate(text.split()):
            self.words += 1
            at = number * RATE // 2
            time = np.arange(RATE // 2, dtype=np.float32) / RATE
            yield 0.1 * np.sin(2 * np.pi * 150 * time), (Word(word, at, at + RATE // 2),)


@pytest.fixture
def todo(tmp_path: Path) -> list[Trial]:
    file = tmp_path / "person.wav"
    soundfile.write(file, 0.1 * np.sin(np.arange(32_000) / 20), 16_000)
    record = Record(
        id="1", path=str(file), split="test", seconds=2.0, speaker="a", text="the bus leaves", sample_rate=16_000,
        licence="CC0", folder=tmp_path,
    )  # fmt: skip
    return [Trial(record, record, record)]


def test_who_imitates_nobody_speaks_in_its_own_voice_and_all_can_be_listened_to(
    todo: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tts.quality, "dnsmos", lambda wave, rate: 3.0)
    by = Judges(None, Deaf(), lambda _: "the bus leaves", None)
    clones, own = Speaks(), Speaks()
    speakers = {"mini": Streamer(clones, True), "kokoro": Streamer(own, False)}
    sounds = tmp_path / "sounds"
    report = tts.run(speakers, Coded(), todo, by, TtsSuite(minutes=0.1, sounds=sounds), lambda _: None)
    tables = {table.title: {row.name: row for row in table.rows} for table in report.tables}
    assert list(tables)[2:4] == ["mini", "kokoro, its own voice"]
    assert clones.voices[0].clip and not own.voices[0].clip and len(own.voices) == 2  # a sentence, and the long reading
    assert own.words == 3 + 12  # six seconds of it, two words in a second
    for name in ("mini", "kokoro, its own voice"):
        first = tables[name]["time to the first sound"].value
        assert first is not None and 0 < first.value < 1000
        assert "word errors, last minute" in tables[name]
    assert (
        tables["flite"]["time to the first sound"].value is None and "word errors, last minute" not in tables["flite"]
    )
    files = {str(file.relative_to(sounds)): soundfile.SoundFile(file).comment for file in sounds.rglob("*.ogg")}
    assert files["kokoro--its-own-voice/01.ogg"] == files["mini/01.ogg"] == files["flite/01.ogg"] == SYNTHETIC
    assert files["people/01.ogg"] == "" and len(files) == 6
    again = tts.run({"mini": Streamer(clones, True)}, Coded(), todo, by, TtsSuite(own=True), lambda _: None)
    assert again.tables[2].title == "mini, its own voice" and not clones.voices[-1].clip


def test_a_voice_that_drifts_is_seen() -> None:
    time = torch.arange(8 * RATE) / RATE
    hz = torch.where(time < 4, 100.0, 200.0)
    wave = torch.where(time < 4, 0.05, 0.1) * (2 * torch.pi * torch.cumsum(hz / RATE, 0)).sin()
    words = [Word("bus", at * RATE, (at + 1) * RATE) for at in (0, 1, 2, 3, 4, 6)]
    found: dict[str, Row] = {
        row.name: row for row in drift(wave, words, Judges(None, Deaf(), lambda _: "bus bus", None))
    }
    values = {name: row.value.value for name, row in found.items() if row.value is not None}
    assert values["word errors, first minute"] == 0.5 and values["word errors, last minute"] == 0
    assert values["last minute: louder by"] == pytest.approx(6, abs=0.1)
    assert values["last minute: higher by"] == pytest.approx(1, abs=0.02)
    assert values["last minute: words in a minute, beside the first minute's"] == 0.5
    assert found["word errors, last minute"].remark == "of 0.1 minutes at a stretch"
