"""What is not speech is not words: not in a file, not at the route, not in a turn by hand or in a live one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import vivavoce
from vivavoce.assistant.model import Model
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.evals.noise import ALONE, mix, noise
from vivavoce.runtime import api
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.model import RATE, Pcm

RECORDINGS = Path(vivavoce.__path__[0]) / "assistant" / "recordings"
LEVELS = ((0.3, -50.0), (2.5, -23.0), (1.0, -3.0))


@pytest.fixture(scope="module")
def model() -> Model:
    return vivavoce.load()


def at(sound: Pcm, level_db: float) -> Pcm:
    loud = sound * (10 ** (level_db / 20) / float(np.sqrt(np.mean(sound**2))))
    return np.clip(loud, -1, 1).astype(np.float32)


def unspoken(kind: str, seconds: float, level_db: float, seed: int = 11) -> Pcm:
    return at(noise(kind, int(seconds * RATE), RATE, seed).numpy(), level_db)


@pytest.mark.parametrize("kind", sorted(ALONE))
def test_sounds_that_nobody_speaks_have_no_words(model: Model, kind: str) -> None:
    for seconds, level_db in LEVELS:
        heard = model.transcribe(unspoken(kind, seconds, level_db))
        assert heard.transcript == "" and heard.words == (), (seconds, level_db, heard)
        assert heard.json()["no_speech_prob"] > 0.5


def test_noise_in_a_file_is_no_order(tmp_path: Path) -> None:
    path = tmp_path / "hiss.wav"
    soundfile.write(path, unspoken("hiss", 2.5, -20), RATE)
    heard = CliRunner().invoke(app, ["transcribe", str(path)])
    assert heard.exit_code == 0 and heard.stdout == "\n"
    told = json.loads(CliRunner().invoke(app, ["transcribe", "--json", str(path)]).stdout)
    assert told["transcript"] == "" and told["words"] == [] and told["no_speech_prob"] > 0.9
    turn = json.loads(CliRunner().invoke(app, ["ask", "--json", "--text-only", str(path)]).stdout)
    assert turn["calls"] == [] and turn["transcript"] == "" and turn["reply"]


# ---- conversations ----


def outputs_of(model: Model, config: api.SessionConfig, inputs: list[api.Input]) -> list[api.Output]:
    """All that happens, on the sample clock."""
    engine = LiveEngine(model.abilities, rows=1, threads=0)
    seat = engine.sit(config)
    for given in inputs:
        seat.push(given)
    found: list[api.Output] = []
    while engine.step() or seat.outputs:
        while seat.outputs:
            found.append(seat.read())
    return found


def test_noise_that_is_committed_by_hand_is_a_turn_without_words(model: Model) -> None:
    config = api.SessionConfig(turns=api.TurnConfig(kind="none"), tools=model.tools, audio_out=False)
    for kind in ("hiss", "tune", "typing"):
        found = outputs_of(model, config, [api.AudioIn(unspoken(kind, 2.0, -20)), api.Commit(), api.Respond()])
        assert [type(output) for output in found].count(api.Committed) == 1
        (said,) = [output for output in found if isinstance(output, api.UserText)]
        assert said.final and said.text == "" and said.words == () and said.speech < 0.5
        assert not [o for o in found if isinstance(o, api.EntryDone) and o.entry.kind == "call"]


@pytest.mark.parametrize("kind", ["semantic_vad", "server_vad"])
def test_noise_that_is_taken_for_a_turn_is_not_answered(model: Model, kind: str) -> None:
    # the loudness detector of these abilities takes everything loud for speech
    config = api.SessionConfig(turns=api.TurnConfig(kind=kind), tools=model.tools, audio_out=False)
    quiet = np.zeros(2 * RATE, np.float32)
    for sound in ("hiss", "whistling"):
        pcm = np.concatenate((quiet[: RATE // 2], unspoken(sound, 1.0, -20), quiet))[: 87 * 960]
        found = outputs_of(model, config, [api.AudioIn(piece) for piece in np.split(pcm, len(pcm) // 960)])
        assert [output.text for output in found if isinstance(output, api.UserText) and output.final] == [""]
        assert not [output for output in found if isinstance(output, api.TurnStarted)]


# ---- what is said is still heard ----


def order() -> tuple[Pcm, str]:
    """The demonstration's change of an order, and its words."""
    path = sorted(RECORDINGS.glob("*.ogg"))[2]
    return read_audio(path, RATE)[0].numpy(), "actually make that small"


@pytest.mark.parametrize("kind", ["hiss", "fan", "kitchen", "typing"])
def test_speech_in_noise_keeps_its_words(model: Model, kind: str) -> None:
    said, words = order()
    import torch

    mixed = mix(torch.from_numpy(said), RATE, kind, 15.0, seed=3).numpy()
    heard = model.transcribe(mixed)
    assert heard.transcript == words and heard.json()["no_speech_prob"] < 0.1


def test_words_stay_and_what_is_between_them_is_silent(model: Model) -> None:
    said, words = order()
    hissing = unspoken("pink", 14.0, -45)
    for begin in (2 * RATE, 9 * RATE):
        hissing[begin : begin + len(said)] += said
    heard = model.transcribe(hissing)
    assert heard.transcript == f"{words} {words}"
    inside = [(2.0, 2.0 + len(said) / RATE), (9.0, 9.0 + len(said) / RATE)]
    for word in heard.words:
        assert any(begin - 0.2 <= word.start / RATE and word.end / RATE <= end + 0.2 for begin, end in inside)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="the synthesis program espeak-ng is not installed")
def test_short_faint_high_and_low_words_are_speech(model: Model) -> None:
    from vivavoce.data.synthesis import Reading, speak

    readings = [
        Reading(text=text, engine="espeak-ng", voice=voice, pitch=pitch)
        for text in ("no", "stop", "latte")
        for voice, pitch in (("en-us", 0.7), ("en-us+f3", 1.4), ("en-gb+m4", 1.0))
    ]
    for spoken in speak(readings, sample_rate=RATE, workers=1):
        wave = np.concatenate((np.zeros(RATE // 5), spoken.wave, np.zeros(RATE // 5))).astype(np.float32)
        for level_db in (-20.0, -40.0):
            assert model.transcribe(at(wave, level_db)).speech > 0.5, (spoken.reading, level_db)


def test_no_word_ends_behind_the_end_of_the_recording(model: Model) -> None:
    said, _ = order()
    for cut in (0.35, 0.5, 0.77, 1.0):
        part = said[: int(cut * len(said))]
        heard = model.transcribe(part)
        assert all(0 <= word.start <= word.end <= len(part) for word in heard.words)
