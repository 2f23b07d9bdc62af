"""VALL-E in miniature: a handful of utterances are learnt by heart and said again, in batches and under its laws."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio, write_audio
from vivavoce.audio.resample import resample
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import Stream, sound, whole
from vivavoce.data.manifest import Record, read_manifest
from vivavoce.data.tokens import TokenCorpus
from vivavoce.evals import valle as suites
from vivavoce.evals.sphinx import Sphinx
from vivavoce.evals.tts import Trial
from vivavoce.evals.word_errors import distance, plain
from vivavoce.generate.samplers import GREEDY
from vivavoce.models.book import BookLM
from vivavoce.recipes.valle import COPIES, MODELS, SAID, SMALL, debug, train
from vivavoce.recipes.valle_data import ValleData
from vivavoce.systems.valle import Valle
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train.tasks.book import BookBatch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("valle")
    found = debug(made)
    assert found["after"] < found["before"] and found["first right"] > 0.99 and found["rest right"] > 0.98, found
    return made


class Spectra:
    """Tells recordings apart by their mean spectrum."""

    def vector(self, wave: torch.Tensor, rate: int) -> np.ndarray:
        wave = resample(wave, rate, 16000)
        made = torch.stft(wave, 512, window=torch.hann_window(512), return_complex=True).abs().mean(1).add(1e-3).log()
        made = made - made.mean()
        return (made / made.norm()).numpy()


def utterances(folder: Path) -> list[Record]:
    return read_manifest(folder / "speech" / "manifest.jsonl")[::COPIES]


def errors(wave: torch.Tensor, rate: int, text: str) -> int:
    return distance(plain(text), Sphinx().words(wave, rate))


def test_what_was_learnt_is_said_as_the_codec_says_it(folder: Path) -> None:
    valle = Valle.load(folder / "run")
    rate = valle.codec.config.sample_rate
    said = valle.speak(PhoneTokenizer().encode([text for _, text in SAID]), sampler=GREEDY)
    words = wrong = codec_wrong = 0
    for number, record in enumerate(utterances(folder)):
        wave = read_audio(record.file, rate)[0]
        assert abs(int(said.lengths[number]) - len(wave)) < rate // 10
        words += len(plain(record.text or ""))
        wrong += errors(said.data[number, 0, : int(said.lengths[number])], rate, record.text or "")
        codes = valle.codec.encode(sound(wave, rate)).part(0, SMALL.books)
        codec_wrong += errors(valle.codec.decode(codes).data[0, 0], rate, record.text or "")
    assert (wrong - codec_wrong) / words <= 0.05, (wrong, codec_wrong, words)


def test_rows_of_a_batch_are_as_if_alone_and_a_prompt_is_gone_on_with(folder: Path) -> None:
    valle = Valle.load(folder / "run")
    hop = valle.codec.config.hop
    phones = PhoneTokenizer().encode([text for _, text in SAID])
    waves = [read_audio(r.file, 24000)[0][: 12 * hop] for r in utterances(folder)]
    prompts = Stream(valle.codec.config.wave, torch.stack(waves)[:, None], torch.tensor([12 * hop, 6 * hop]))
    together = valle.speak(phones, prompts, sampler=GREEDY)
    whole = valle.speak(phones, sampler=GREEDY)
    for row in range(len(waves)):
        length = int(phones.lengths[row])
        one = Stream(phones.spec, phones.data[row : row + 1, :, :length], phones.lengths[row : row + 1])
        prompt = Stream(prompts.spec, prompts.data[row : row + 1], prompts.lengths[row : row + 1])
        alone = valle.speak(one, prompt, sampler=GREEDY)
        assert torch.equal(alone.lengths, together.lengths[row : row + 1])
        size = int(alone.lengths[0])
        assert (alone.data[0, 0, :size] - together.data[row, 0, :size]).abs().max() < 1e-3
        assert size == int(whole.lengths[row]) - int(prompts.lengths[row])
    drawn = [valle.speak(phones, seeds=[5, 6]).data, valle.speak(phones, seeds=[5, 6]).data]
    assert torch.equal(*drawn)


def test_groups_of_codes_are_learnt_and_said_in_fewer_steps(folder: Path, tmp_path: Path) -> None:
    """VALL-E 2: the first model learns anew, the second does not know of groups and is taken as it is."""
    run = replace(SMALL, group=3)
    found = train(run, folder / "corpus", BUNDLED, tmp_path, ready={"rest": folder / "run"})
    assert found["first right"] > 0.99, found
    valle, plain_one = Valle.load(tmp_path), Valle.load(folder / "run")
    assert valle.model.first.config.lanes == (*plain_one.model.first.config.lanes, 1025, 1025)
    steps, inner = [0], valle.model.first.read

    def counted(ids: torch.Tensor, *rest: object) -> torch.Tensor:
        steps[0] += 1
        return inner(ids, *rest)  # type: ignore[arg-type]

    valle.model.first.read = counted  # type: ignore[method-assign]
    rate, hop = valle.codec.config.sample_rate, valle.codec.config.hop
    corpus = TokenCorpus(folder / "corpus")
    for index, record in zip(range(0, len(corpus.utterances), COPIES), utterances(folder), strict=True):
        items = corpus.items(index)
        phones = whole(valle.model.config.phones, items["phones"][None])
        first = valle.layout.segments[-1].whole(items["codes"][:1])
        assert first.shape[1] % 3 == 0 and 0 <= items["codes"].shape[1] - first.shape[1] < 3
        steps[0] = 0
        said = valle.speak(phones, sampler=GREEDY)  # it ends by itself, at the right place
        known = valle.refined(phones, whole(valle.model.config.codes.first(1), first[None]))
        assert torch.equal(said.lengths, known.lengths) and torch.equal(said.data, known.data)
        assert steps[0] == first.shape[1] // 3 + 1
        left = items["codes"].shape[1] % 3
        clip = sound(read_audio(record.file, rate)[0][: (12 + left) * hop], rate)  # as many too much as was learnt
        prompted = valle.speak(phones, clip, sampler=GREEDY)
        assert abs(int(prompted.lengths[0]) - int(said.lengths[0]) + 12 * hop) <= 3 * hop  # it is gone on with
    with pytest.raises(SpecError, match="has groups of 1; use --set group=1"):
        train(run, folder / "corpus", BUNDLED, tmp_path / "other", ready={"first": folder / "run"})


def test_models_that_were_trained_apart_are_put_together(folder: Path, tmp_path: Path) -> None:
    both = {"first": folder / "run", "rest": folder / "run"}
    train(replace(SMALL, seed=2), folder / "corpus", BUNDLED, tmp_path, ready=both)
    known, made = load_part(folder / "run", "valle").state_dict(), load_part(tmp_path, "valle").state_dict()
    assert all(torch.equal(known[key], made[key]) for key in known)


def test_a_training_that_was_killed_goes_on_bit_exact(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, corpus, came = replace(SMALL, steps=5, rest_steps=5), folder / "corpus", count()
    train(run, corpus, BUNDLED, tmp_path / "whole")
    made = ValleData.rest

    def killed(self: ValleData, indices: Sequence[int], draw: np.random.Generator) -> BookBatch:
        if next(came) == 3:
            raise RuntimeError("no power")
        return made(self, indices, draw)

    with monkeypatch.context() as broken, pytest.raises(RuntimeError, match="no power"):
        broken.setattr(ValleData, "rest", killed)
        train(run, corpus, BUNDLED, tmp_path / "killed")
    assert not (tmp_path / "killed" / "valle.json").exists()
    train(run, corpus, BUNDLED, tmp_path / "killed")
    for name in MODELS:
        whole, killed_ = (load_file(tmp_path / way / name / "checkpoint.safetensors") for way in ("whole", "killed"))
        assert whole.keys() == killed_.keys() and all(torch.equal(whole[key], killed_[key]) for key in whole)


def test_known_first_books_are_refined_as_written_ones_are(folder: Path) -> None:
    valle = Valle.load(folder / "run")
    record = utterances(folder)[0]
    phones, rate = PhoneTokenizer().encode([record.text or ""]), valle.codec.config.sample_rate
    codes = valle.codec.encode(sound(read_audio(record.file, rate)[0], rate)).part(0, SMALL.books)
    said, made = valle.speak(phones, sampler=GREEDY), valle.refined(phones, codes.part(0, 1))
    assert torch.equal(made.lengths, valle.codec.decode(codes).lengths)
    size = min(int(said.lengths[0]), int(made.lengths[0]))  # learnt by heart: the written book is the true one
    assert size > rate and (said.data[0, 0, :size] - made.data[0, 0, :size]).abs().mean() < 1e-3
    sure = deepcopy(valle.model)
    sure.rest.embed.data *= 1e4
    likeliest, means = (Valle(sure, valle.codec, means=m).refined(phones, codes.part(0, 1)).data for m in (False, True))
    assert (likeliest - means).abs().max() < 5e-3 < (made.data - valle.codec.decode(codes.part(0, 1)).data).abs().max()


def test_the_report_has_its_ways_and_knows_voices(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = utterances(folder)
    todo = [Trial(*(replace(one, speaker=who) for _ in range(3))) for one, who in ((first, "a"), (second, "b"))]
    monkeypatch.setattr(suites, "tasks", lambda *_: todo)
    monkeypatch.setattr(suites, "recogniser", lambda *_: lambda wave: first.text)
    monkeypatch.setattr(suites, "voice_judge", lambda _: Spectra())
    report = suites.run(folder / "run", suites.ValleSuite(), folder / "speech", lambda _: None)
    rows = {row.name: row.value.value for row in report.tables[0].rows if row.value is not None}
    assert len(rows) == 7 * 3 and rows[f"people: {suites.CLOSE}"] == 1
    words = len(plain(second.text or ""))
    wrong = distance(plain(second.text or ""), plain(first.text or ""))
    assert rows["people: word errors, Whisper"] == pytest.approx(wrong / (words + len(plain(first.text or ""))))
    with pytest.raises(ConfigError, match="has no VALL-E"):
        suites.run(folder, suites.ValleSuite(), folder / "speech")


def test_foreign_alphabets_are_refused_with_both_sides_named(folder: Path) -> None:
    valle = Valle.load(folder / "run")
    phones = PhoneTokenizer().encode(["hello"])
    foreign = Stream(valle.codec.tokens.first(1), phones.data % 3, phones.lengths)
    with pytest.raises(SpecError, match=rf"{valle.codec.tokens.alphabet}.*wanted.*{phones.spec.alphabet}"):
        valle.speak(foreign)
    other = load_part(folder / "run", "codec")
    known = other.tokens.alphabet
    other.quantizer.semantic.entries[0, 0] += 1
    with pytest.raises(SpecError, match=rf"{known}.*got.*{other.tokens.alphabet}"):
        Valle(valle.model, other)
    with pytest.raises(SpecError, match="sample_rate=8000"):
        valle.speak(phones, sound(torch.zeros(800), 8000))


def test_a_stage_sees_earlier_books_only_and_reads_by_the_head_s_weights(folder: Path) -> None:
    model: BookLM = Valle.load(folder / "run").model.rest
    codes = torch.randint(1024, (1, SMALL.books, 20))
    text, lengths = torch.randint(40, (1, 6)), (torch.tensor([6]), torch.tensor([20]))
    for stage in (1, 3):
        with torch.no_grad():
            asked = (text, lengths[0], codes, lengths[1], torch.tensor([5]), torch.tensor([stage]))
            scores = model(*asked)
            for book in range(SMALL.books):
                changed = codes.clone()
                changed[:, book, 5:] = 1023 - changed[:, book, 5:]
                same = torch.equal(model(*asked[:2], changed, *asked[3:]), scores)
                assert same == (book >= stage), (stage, book)
    head = torch.einsum("btd,vd->btv", torch.eye(160)[None], model.embed[3])
    assert torch.equal(head[0].T, model.embed[3])


def test_the_command_line_speaks_in_the_voice_of_a_clip(folder: Path, tmp_path: Path) -> None:
    out, clip = tmp_path / "said.wav", RECORDINGS / "clip.ogg"
    arguments = ["say", "make that small", "--speaker", str(folder / "run"), "--like", str(clip), "-o", str(out)]
    done = CliRunner().invoke(app, [*arguments, "--consent", "made by a synthesis program"])
    assert done.exit_code == 0, done.output
    assert len(read_audio(out, allow_silent=True)[0]) > 0
    assert CliRunner().invoke(app, arguments).exit_code != 0  # nobody consented
    noise = tmp_path / "noise.wav"
    write_audio(noise, 0.1 * torch.randn(96_000, generator=torch.Generator().manual_seed(0)), 24_000)
    asked = ["say", "hello", "--speaker", str(folder / "run"), "--like", str(noise), "--consent", "me", "-o", str(out)]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 2 and "nobody is heard to speak aloud in the clip" in done.output
    described = ["say", "hello", "--speaker", str(folder / "run"), "--voice", "an old wizard", "-o", str(out)]
    done = CliRunner().invoke(app, described)
    assert done.exit_code == 2 and "does not take --voice WORDS; give --like CLIP" in done.output
