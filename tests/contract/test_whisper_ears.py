"""Whisper as ears, with the real model: by file, and while somebody speaks."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import vivavoce
from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.following import FollowingEars
from vivavoce.assistant.model import recording_of
from vivavoce.assistant.whisper import believed
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.talk import Word
from vivavoce.evals.open_ears import heard_live
from vivavoce.hub.whisper import Spelled, Wanted, repeats, spelled, whisper_of
from vivavoce.runtime.model import RATE, HearingOptions

ORDER = RECORDINGS / "2.ogg"
END = "with a bit of almond milk and some sugar"


@pytest.fixture(scope="module")
def folder(fetched: Any) -> Path:
    return fetched("whisper-base")


@pytest.fixture(scope="module")
def model(folder: Path) -> vivavoce.Model:
    return vivavoce.load(ears=(str(folder), "mini"))


@pytest.fixture(scope="module")
def order() -> torch.Tensor:
    return recording_of(ORDER).wave


def plain(text: str) -> str:
    return text.lower().replace(",", "").strip(" .?")


def test_a_recording_becomes_words_with_times_inside_it(model, order):
    heard = model.transcribe(ORDER)
    assert plain(heard.transcript).endswith(END)
    assert all(0 < word.confidence <= 1 and word.start <= word.end <= len(order) for word in heard.words)
    assert [word.start for word in heard.words] == sorted(word.start for word in heard.words)
    assert heard.speech > 0.9


def test_a_minute_with_noise_between_is_heard_whole_and_nothing_else(model, order):
    gap = torch.randn(9 * RATE) * 0.01
    heard = model.transcribe(torch.cat([order, gap, order, gap, order, gap]).numpy())
    assert plain(heard.transcript).count("almond milk") == 3
    for number in range(3):
        begin = (number + 1) * len(order) + number * len(gap)
        inside = [w for w in heard.words if begin + RATE < w.start and w.end < begin + len(gap) - RATE]
        assert not inside


@pytest.mark.parametrize("level", [0.0, 0.003, 0.1])
def test_nobody_is_heard_where_nobody_speaks(model, level):
    heard = model.transcribe((torch.randn(5 * RATE) * level).numpy())
    assert not heard.words and heard.speech < 0.5


def test_what_is_shown_while_somebody_speaks_is_the_beginning_of_what_was_said(model, order):
    text, shown, speech = heard_live(FollowingEars(model.ears.mini, model.ears.recognisers, None), order)
    assert len(shown.split()) >= 4 and text.startswith(shown)
    assert plain(text).endswith(END) and speech > 0.9


@pytest.mark.parametrize(("most", "seconds", "windows"), [(1, 4.0, 1), (2, 4.0, 2), (2, 1.3, 1)])
def test_who_ends_every_window_early_is_not_followed_from_one_to_the_next(model, monkeypatch, most, seconds, windows):
    written = []
    start = 50364  # the token of 0.00 s; twenty further is 0.40 s

    def short(*_given, **_more):
        written.append([start, 440, start + 20, start + 20])
        return SimpleNamespace(sequences_ids=written[-1:], no_speech_prob=0.0), 0.0, 0.0, 1.0

    def untimed(segments, *_given, **_more):
        for segment in segments[0]:
            segment["words"] = []

    monkeypatch.setattr("vivavoce.hub.whisper._WINDOWS", most)
    monkeypatch.setattr(model.ears.first.model, "add_word_timestamps", untimed)
    monkeypatch.setattr(model.ears.first.model, "generate_with_fallback", short)
    sound = np.random.default_rng(0).normal(0, 0.1, round(seconds * 16_000)).astype(np.float32)
    model.ears.first.transcribe(sound, Wanted(language="en", window=8.0, careful=False))
    assert len(written) == windows


def test_the_language_is_found_out_or_refused(model, order):
    low = resample(order[None], RATE, 16_000)
    assert model.ears.whole(low, HearingOptions(language="auto")).language == "en"
    with pytest.raises(ConfigError, match="does not know the language 'xx'"):
        model.transcribe(ORDER, options=HearingOptions(language="xx"))
    with pytest.raises(ConfigError, match="there are no ears 'nobody'; loaded are"):
        model.transcribe(ORDER, options=HearingOptions(ears="nobody"))


def test_a_truncated_model_is_refused_when_it_is_read(folder, tmp_path):
    for file in folder.iterdir():
        shutil.copy(file, tmp_path / file.name)
    weights = tmp_path / "model.bin"
    weights.write_bytes(weights.read_bytes()[: 1 << 20])
    with pytest.raises(PartError, match="cannot be read as Whisper"):
        _ = whisper_of(str(tmp_path)).model


# ---- without the model ----


def test_what_is_written_together_is_one_word():
    written = [" At", " 7", ":30,", " 3", ".5", " or", " 50", "%", " of", " 1", ",000", " N", "-O", "-O", "-N."]
    pieces = [
        SimpleNamespace(word=piece, start=n / 10, end=(n + 1) / 10, probability=1 - n / 100)
        for n, piece in enumerate(written)
    ]
    words = spelled(pieces)
    assert [word.text for word in words] == ["At", "7:30,", "3.5", "or", "50%", "of", "1,000", "N-O-O-N."]
    assert (words[1].start, words[1].end, words[1].confidence) == (0.1, 0.3, 0.98)
    assert [(word.text, word.glued) for word in spelled(pieces[:3], unspaced=True)] == [
        ("At", False), ("7", False), (":30,", True)
    ]  # fmt: skip


def test_a_word_that_nobody_is_sure_of_is_no_word():
    sure, said, guessed = Word("yes", 0, 1, 0.01, 0.95), Word("no", 1, 2, 0.5, 0.6), Word("You", 2, 3, 0.02, 0.6)
    assert believed([sure, said, guessed]) == (sure, said)


@pytest.mark.parametrize(
    ("text", "circles"),
    [("H-O-F-F-M-A-N. H-O-F-F", True), ("come here now please come here now please", True), ("no, no, no", False)],
)
def test_circles_are_told_by_their_words(text, circles):
    assert repeats([Spelled(word, 0.0, 1.0, 1.0) for word in text.split()]) == circles


def test_what_follows_a_sound_in_a_short_window_is_silent():
    pytest.importorskip("faster_whisper")
    from vivavoce.hub.shortened import silent_after

    features = np.array([[0.5, -0.8, 0.0, 0.0], [0.2, 0.0, 0.0, 0.0]], np.float32)
    assert (
        silent_after(features).tolist()
        == np.array([[0.5, -0.8, -0.8, -0.8], [0.2, 0.0, -0.8, -0.8]], np.float32).tolist()
    )
    assert not silent_after(np.zeros((2, 3), np.float32)).any()


def test_what_was_not_fetched_is_named_with_the_command_that_fetches_it(tmp_path, monkeypatch):
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path))
    with pytest.raises(PartError, match="vivavoce models get whisper-base"):
        whisper_of("whisper-base")
    with pytest.raises(PartError, match="vivavoce models get hf:OWNER/NAME"):
        whisper_of("hf:OWNER/NAME")
    with pytest.raises(PartError, match="is no ears but mind"):
        whisper_of("smollm2-135m-instruct")
    with pytest.raises(PartError, match="there are no ears 'wisper'; give mini, whisper-tiny"):
        whisper_of("wisper")


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(PartError, match=r"has no config\.json"):
        whisper_of(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.bin").write_bytes(b"\6\0\0\0\x10\0TransformerSpec\0")
    with pytest.raises(PartError, match="holds no Whisper"):
        whisper_of(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"\6")
    with pytest.raises(PartError, match="cannot be read"):
        whisper_of(str(tmp_path))
    (tmp_path / "model.bin").write_bytes(b"\6\0\0\0\x0c\0WhisperSpec\0")
    (tmp_path / "tokenizer.json").write_text("[")
    with pytest.raises(PartError, match=r"tokenizer\.json cannot be read"):
        whisper_of(str(tmp_path))
