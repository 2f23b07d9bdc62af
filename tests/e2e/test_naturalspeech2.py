"""NaturalSpeech 2 in miniature: what it learns from, what it is told of a prompt, and how it is asked."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, ManifestError, SpecError, VoiceError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import Stream
from vivavoce.data.manifest import read_manifest, write_manifest
from vivavoce.data.timed import TimedCorpus
from vivavoce.models.latents import books_of
from vivavoce.recipes import naturalspeech2 as recipe
from vivavoce.recipes.naturalspeech2 import SMALL, collate, cut, debug, drawn, timed_corpus, train
from vivavoce.systems.naturalspeech2 import SCHEDULE, Naturalspeech2
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train.tasks.naturalspeech2 import CutBatch, Naturalspeech2Task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("naturalspeech2")
    found = debug(made)
    assert found["after"] < 0.75 * found["before"] and found["right"] > 0.15, found
    assert found["durations"] < 0.2 and found["pitch"] < 0.4, found
    return made


@pytest.fixture(scope="module")
def system(folder: Path) -> Naturalspeech2:
    return Naturalspeech2.load(folder / "run")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> TimedCorpus:
    return timed_corpus(folder / "speech", BUNDLED, folder / "run" / "timed", SMALL.books, None, print)[0]


@pytest.fixture(scope="module")
def batch(corpus: TimedCorpus) -> CutBatch:
    return collate([cut(corpus[0], 1, 4), cut(corpus[2], 5, 7)])


def task_of(system: Naturalspeech2) -> Naturalspeech2Task:
    return Naturalspeech2Task(system.model, books_of(system.codec, SMALL.books), SMALL.weights).eval()


def test_phones_last_as_long_as_the_recording_and_their_melody_goes_on(corpus: TimedCorpus) -> None:
    for one in (corpus[0], corpus[2]):
        assert int(one.frames.sum()) == one.codes.shape[1] == len(one.pitch)
        assert (int(one.phones[0]), int(one.phones[-1])) == (0, 0) and one.codes.shape[0] == SMALL.books
        assert float(one.pitch.min()) >= 65 and float(one.pitch.max()) <= 500


def test_recordings_whose_phones_cannot_be_told_are_named_and_left_out(folder: Path, tmp_path: Path) -> None:
    records = read_manifest(folder / "speech" / "manifest.jsonl")
    for text in (
        None,
        "Every good sailor knows that this is a quite different and far longer sentence than what is said.",
    ):
        shutil.copy(records[0].file, tmp_path)
        write_manifest(tmp_path, [replace(records[0], path=records[0].file.name, text=text)])
        said: list[str] = []
        with pytest.raises(ManifestError, match="the phones of no recording could be told"):
            timed_corpus(tmp_path, BUNDLED, tmp_path / "timed", SMALL.books, None, said.append)
        assert len(said) == 1 and records[0].id in said[0] and "is left out" in said[0]


def test_a_stretch_is_cut_out_as_the_prompt_and_the_rest_is_learnt(corpus: TimedCorpus) -> None:
    one, draw, seen = corpus[2], np.random.default_rng(1), set()
    for _ in range(30):
        first, last = drawn(one, SMALL, draw)
        left, prompt = cut(one, first, last)
        begin = int(one.frames[:first].sum())
        end = begin + prompt.shape[1]
        assert 0 < prompt.shape[1] < one.codes.shape[1] and 0 < last - first <= 0.5 * len(one.phones) + 1
        assert torch.equal(torch.cat((left.codes[:, :begin], prompt, left.codes[:, begin:]), dim=1), one.codes)
        assert torch.equal(left.pitch, torch.cat((one.pitch[:begin], one.pitch[end:])))
        assert left.phones.tolist() == [*one.phones[:first].tolist(), *one.phones[last:].tolist()]
        assert int(left.frames.sum()) == left.codes.shape[1]
        seen.add((first, last))
    assert len(seen) > 10


def test_of_the_prompt_the_denoiser_is_told_the_tokens_alone(
    system: Naturalspeech2, batch: CutBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(system)
    other = replace(batch, prompt=1023 - batch.prompt)

    def outputs(of: CutBatch) -> Any:
        torch.manual_seed(3)
        with torch.no_grad():
            return task.outputs(of)

    one, two = outputs(batch), outputs(other)
    assert not torch.equal(one.clean, two.clean)
    same = torch.randn(2, 4, 64)
    monkeypatch.setattr(system.model.tokens, "forward", lambda *given: same)
    one, two = outputs(batch), outputs(other)
    assert torch.equal(one.clean, two.clean)
    # predictors look at the prompt itself
    assert not torch.equal(one.log_frames, two.log_frames) and not torch.equal(one.log_pitch, two.log_pitch)


def test_melody_is_added_after_phones_are_held(system: Naturalspeech2) -> None:
    spread, pitch = torch.randn(1, 9, 64), torch.full((1, 9), 120.0)
    higher = pitch.clone()
    higher[0, 4] = 200.0
    moved = system.model.condition(spread, higher) - system.model.condition(spread, pitch)
    assert moved[0].abs().sum(0).nonzero()[:, 0].tolist() == [4]
    ends = system.model.condition(spread * 0, torch.tensor([[0.0, 50, 51, 1000, 1100, 2000, 50, 50, 50]]))[0]
    assert torch.equal(ends[:, 0], ends[:, 1]) and torch.equal(ends[:, 4], ends[:, 5])
    assert not torch.equal(ends[:, 1], ends[:, 2]) and not torch.equal(ends[:, 3], ends[:, 4])


def test_terms_are_nothing_where_all_is_right(system: Naturalspeech2, batch: CutBatch) -> None:
    task = task_of(system)
    torch.manual_seed(5)
    with torch.no_grad():
        out = task.outputs(batch)
        right = out._replace(
            clean=out.vectors, log_frames=batch.frames.float().log1p(), log_pitch=batch.pitch.clamp(min=1).log()
        )
        losses = task.losses("model", batch, right)
        for name in ("clean", "score", "durations", "pitch"):
            assert float(losses[name].value) < 1e-3, name
            assert float(task.losses("model", batch, out)[name].value) > 1e-3, name
        assert float(losses["right"].value) == 1.0 and losses["right"].weight == 0  # two books, seen apart
        moved = right._replace(clean=out.vectors + 0.1)
        implied = task.losses("model", batch, moved)["score"].value
        alpha, sigma = (part(out.time) for part in (SCHEDULE.alpha, SCHEDULE.sigma))
        frames = out.valid.sum(1)
        assert torch.allclose(implied, (0.1 * alpha / sigma * frames).sum() / frames.sum(), rtol=1e-2)


def test_a_killed_run_goes_on_as_if_it_had_not_been(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(SMALL, steps=3)
    arguments: Any = {"cache": folder / "run", "say": lambda line: None}
    train(few, folder / "speech", BUNDLED, tmp_path / "whole", **arguments)
    calls = iter(range(100))

    def killed(*given: Any) -> tuple[int, int]:
        if next(calls) == 10:  # in the third batch of four
            raise RuntimeError
        return drawn(*given)

    monkeypatch.setattr(recipe, "drawn", killed)
    with pytest.raises(RuntimeError):
        train(few, folder / "speech", BUNDLED, tmp_path / "broken", **arguments)
    assert not (tmp_path / "broken" / "naturalspeech2.json").exists()
    monkeypatch.undo()
    train(few, folder / "speech", BUNDLED, tmp_path / "broken", **arguments)
    one, two = (load_part(tmp_path / name, "naturalspeech2").state_dict() for name in ("whole", "broken"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_rows_of_a_batch_are_as_if_alone_and_noise_is_small(
    system: Naturalspeech2, monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = PhoneTokenizer().encode(["How do I sound?", "Hello there!"])
    rate = system.sample_rate
    prompt = read_audio(RECORDINGS / "1.ogg", rate)[0][:rate]
    half = torch.nn.functional.pad(prompt[: rate // 2], (0, rate - rate // 2))
    prompts = Stream(system.codec.config.wave, torch.stack((prompt, half))[:, None], torch.tensor([rate, rate // 2]))
    together = system.speak(phones, prompts, seeds=[5, 6], steps=2)
    length = int(phones.lengths[1])
    alone = system.speak(
        Stream(phones.spec, phones.data[1:, :, :length], phones.lengths[1:]),
        Stream(prompts.spec, prompts.data[1:, :, : rate // 2], prompts.lengths[1:]), seeds=[6], steps=2,
    )  # fmt: skip
    size = int(alone.lengths[0])
    assert size == int(together.lengths[1]) > 0
    assert (alone.data[0, 0, :size] - together.data[1, 0, :size]).abs().max() < 1e-3
    starts: list[torch.Tensor] = []
    plain = system.model.clean
    monkeypatch.setattr(system.model, "clean", lambda x, *rest: starts.append(x) or plain(x, *rest))
    system.speak(phones, prompts, seeds=[5, 6], steps=1)
    assert abs(float(starts[0][int(together.lengths.argmax())].std()) * 1.2 - 1) < 0.05


def test_what_does_not_fit_is_refused(system: Naturalspeech2) -> None:
    phones = PhoneTokenizer().encode(["hello"])
    with pytest.raises(VoiceError, match="give --like CLIP"):
        system.say(Sentence(text="hello", phones=phones))
    with pytest.raises(ConfigError, match="predictors, tokens and denoiser"):
        replace(system.model.config, dim=255).build()
    other = load_part(BUNDLED, "codec")
    other.quantizer.semantic.entries[0, 0] += 1
    with pytest.raises(SpecError, match=r"was trained on .*, got .*; use the parts"):
        Naturalspeech2(system.model, other)


def test_the_command_line_speaks_in_the_manner_of_a_clip(folder: Path, tmp_path: Path) -> None:
    out, clip = tmp_path / "said.wav", RECORDINGS / "clip.ogg"
    arguments = ["say", "hello there", "--speaker", str(folder / "run"), "-o", str(out)]
    like = ["--like", str(clip), "--consent", "made by a synthesis program"]
    done = CliRunner().invoke(app, [*arguments, *like])
    assert done.exit_code == 0, done.output
    assert len(read_audio(out, allow_silent=True)[0]) > 0
