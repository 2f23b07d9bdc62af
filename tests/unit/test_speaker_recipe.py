"""The speaker's data and training: what is read from an aligned clip, batches by step, and a run that learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.audio.formants import depth, warp, whispered
from vivavoce.core.parts import load_part
from vivavoce.data.examples import bin_of_hz, hz_of_bin, melody, phone_rows
from vivavoce.data.features import Features
from vivavoce.data.manifest import Record
from vivavoce.data.speaker import SpeakerBatches
from vivavoce.models.script import MARK_IDS, script_of
from vivavoce.models.speak import SpeakerConfig
from vivavoce.nn.align import Span
from vivavoce.nn.style import ReferenceEncoderConfig
from vivavoce.recipes.speaker import SpeakerRun, SpeakTask, export, measure, train
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronunciations

SMALL = SpeakerConfig(
    text_width=16, text_blocks=1, width=24, blocks=2, voice=8, reference=ReferenceEncoderConfig(width=12, vector=6)
)


def clip(number: int, text: str | None = "Hello, you.", speaker: str = "a:1") -> Record:
    style = None if text is None else "cased, punctuated"
    about = {"path": "", "split": "train", "seconds": 1.0, "sample_rate": 16000, "licence": "", "source": "a"}
    return Record(id=f"{number}", speaker=speaker, text=text, text_style=style, **about)


def spans_of(words: list[str], pause: int = 0) -> list[Span]:
    made = [Span(0, -1, 0, 6)]
    for index, word in enumerate(words):
        for phone in ids(pronunciations(word)[0]):
            made.append(Span(phone, index, made[-1].end, made[-1].end + 7))
        if pause and index + 1 < len(words):
            made.append(Span(0, -1, made[-1].end, made[-1].end + pause))
    return [*made, Span(0, -1, made[-1].end, made[-1].end + 8)]


def corpus(count: int = 12) -> tuple[list[Record], Features, list[list[Span]], list[float]]:
    draw = torch.Generator().manual_seed(1)
    clips = [clip(i, speaker=f"a:{i % 3}") for i in range(count)] + [clip(count, None, "a:9")]
    spans = [spans_of(["hello", "you"], 9) for _ in clips]
    length = spans[0][-1].end
    colour = torch.randn(40, 100, generator=draw)
    labels = [phone for s in spans[0] for phone in [s.phone] * (s.end - s.begin)]
    mel = torch.cat([colour[labels] + 0.1 * torch.randn(length, 100, generator=draw) - 4 for _ in clips])
    hz = torch.where(torch.tensor(labels) > 0, 180.0, 0.0).repeat(len(clips))
    starts = np.arange(len(clips) + 1) * length
    made = Features(mel.numpy().astype(np.float16), hz.numpy().astype(np.float16), starts)
    return clips, made, spans, [0.0] * len(clips)


def test_rows_tell_stress_place_and_the_mark_ahead() -> None:
    rows, lengths = phone_rows(clip(0), spans_of(["hello", "you"], 9))
    wanted = script_of("Hello, you.").table().tolist()
    assert [list(row) for row in rows] == wanted
    assert lengths == [6, 7, 7, 7, 7, 9, 7, 7, 8]
    assert rows[5] == (0, 0, 0, MARK_IDS[","])


def test_short_pauses_go_to_the_phone_before() -> None:
    rows, lengths = phone_rows(clip(0), spans_of(["hello", "you"], 3))
    assert len(rows) == 8
    assert lengths[4] == 10


def test_melody_folds_octave_errors_and_fills_gaps() -> None:
    hz = torch.tensor([0.0, 200.0, 200.0, 0.0, 100.0, 400.0, 200.0])
    octaves, voiced = melody(hz, float(np.log2(200.0)))
    assert torch.allclose(octaves, torch.full((7,), float(np.log2(200.0))), atol=1e-3)
    assert voiced.tolist() == [False, True, True, False, True, True, True]


def test_bins_and_hertz_are_inverses() -> None:
    for hz in (1000.0, 5800.0, 7600.0):
        assert hz_of_bin(bin_of_hz(hz, 100), 100) == pytest.approx(hz, rel=0.05)
    assert bin_of_hz(12000.0, 100) == 100


def test_warping_moves_a_peak_and_whispering_fills_the_gaps() -> None:
    mel = torch.full((1, 100), -8.0)
    mel[0, 30] = 0.0
    assert int(warp(mel, 1.15).argmax()) > 30 > int(warp(mel, 0.87).argmax())
    comb = torch.where(torch.arange(100) % 5 == 0, 0.0, -6.0).expand(4, 100)
    soft = whispered(comb, torch.tensor([[1.0], [1.0], [0.0], [0.0]]))
    assert soft[0, 40:60].std() < 0.3 * comb[0, 40:60].std()
    assert torch.equal(soft[2], comb[2])
    assert depth(soft[:2]) < depth(comb) - 1


def test_batches_are_functions_of_the_step() -> None:
    batches = SpeakerBatches(*corpus(), size=3)
    first, again, other = batches(4), batches(4), batches(5)
    assert torch.equal(first.mel, again.mel)
    assert not torch.equal(first.mel, other.mel)
    assert first.mel_mask[:, :, 92:].sum() == 0  # a 16 kHz recording has nothing there, even warped
    assert first.phones.frames.shape == first.phones.table.shape[:2]


def test_training_learns_goes_on_and_exports(tmp_path: Path) -> None:
    batches = SpeakerBatches(*corpus(), size=3)
    run = SpeakerRun(model=SMALL, size=3, steps=30, lr=5e-3)
    begin = measure(SpeakTask(SMALL.build(), len(batches.speakers)), batches)
    done = train(run, batches, tmp_path / "run")
    assert isinstance(done.task, SpeakTask)
    assert measure(done.task, batches)["held_mel"] < 0.8 * begin["held_mel"]
    assert train(run, batches, tmp_path / "run").step == 30  # nothing is left to do
    export(done.task.speaker, *corpus()[:2], {"default": ("a:0", 1.0), "tiny": ("a:1", 1.15)}, tmp_path, {"seed": 0})
    speaker = load_part(tmp_path, "speaker")
    who = speaker.preset("tiny")
    assert float(who.pitch) == pytest.approx(np.log2(180 * 1.15), abs=0.02)
    with torch.no_grad():
        mel = speaker.speak(speaker.plan(script_of("Hello you."), who))
    assert torch.isfinite(mel).all()
