"""Learning on one lane by alphabets, and what SpeechGPT's examples count."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vivavoce.core.errors import ConfigError, TextError
from vivavoce.core.layout import Layout, Segment
from vivavoce.core.streams import Tokens
from vivavoce.data.lines import text_pieces
from vivavoce.data.manifest import Record
from vivavoce.data.tokens import TokenCorpus, add_stream
from vivavoce.evals.listening import Clip
from vivavoce.evals.speech_units import ErrorRows
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.speechgpt_data import Makers, SpeechGPTRun
from vivavoce.recipes.token_lm import GridRun, learn, loss_of, some
from vivavoce.systems.speechgpt import SpeechGPTConfig
from vivavoce.train.tasks.alphabets import AlphabetTask, followed_by
from vivavoce.train.tasks.grid import GridBatch, collate

TEXT = Tokens(name="text", alphabet="letters", size=20)
UNITS = Tokens(name="units", alphabet="units", size=9)
SPOKEN = replace(UNITS, rate=Fraction(25))
TRUNK = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=24, window=200)
CONFIG = SpeechGPTConfig(text=TEXT, units=UNITS, trunk=TRUNK, stage=2)


def items(**streams: list[int]) -> dict[str, torch.Tensor]:
    return {name: torch.tensor([ids], dtype=torch.long) for name, ids in streams.items()}


def written() -> GridBatch:
    heard = CONFIG.layout("recognise").pack(items(instruction=[3, 4], asked=[1, 5, 8], then=[], tq=[7, 7, 19]))
    said = CONFIG.layout("synthesise").pack(items(instruction=[2, 9, 9, 1], ua=[0, 4, 2, 0]))
    return collate([heard, said])


def test_an_id_is_told_apart_from_those_that_a_cursor_allows() -> None:
    torch.manual_seed(1)
    model, batch = CONFIG.build(), written()
    task = AlphabetTask(model, CONFIG.whole)
    found = task.losses("model", batch, task.outputs(batch))
    vocab = CONFIG.whole.vocabs[0]
    text, units = (vocab.range(f"{one.alphabet}:0") for one in (TEXT, UNITS))
    scores = model.lm(batch.ids)[0]
    losses = []
    for row in range(2):
        within = "nothing"
        for place, id in enumerate(batch.ids[row, 0].tolist()):
            if batch.weights[row, 0, place]:
                allowed = [*vocab.range("mark"), *(units if within in ("asked", "ua") else text)]
                losses.append(-scores[row, place - 1, allowed].log_softmax(-1)[allowed.index(id)])
            within = CONFIG.whole.marks[id] if id < len(CONFIG.whole.marks) else within
    assert torch.allclose(found["tokens"].value, torch.stack(losses).mean(), atol=1e-5)
    assert len(losses) == batch.weights.sum()
    counts = {"tokens_0": 4, "tokens_1": 5}
    own = sum(count * found[name].value for name, count in counts.items()) / 9
    assert torch.allclose(own, found["tokens"].value, atol=1e-5)
    assert not model.lm.embed.grad and all(found[name].weight == 0 for name in (*counts, "right"))


def test_alphabets_are_told_apart_on_one_lane_only() -> None:
    beside = Layout(blocks=(Segment(stream=replace(UNITS, books=2)),))
    with pytest.raises(ConfigError, match="on one lane, this layout has 2"):
        followed_by(beside)


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    records = [
        Record(
            id=str(n), path=f"{n}.wav", split="train", speaker="s", seconds=1.0 + n, sample_rate=16000, licence="none",
            text="ab", folder=tmp_path,
        )
        for n in range(6)
    ]  # fmt: skip
    for one in records:
        one.file.touch()
    add_stream(tmp_path / "corpus", records, SPOKEN, lambda _: torch.tensor([[1, 1, 2, 3, 3, 4, 5, 6] * 12]))
    return TokenCorpus(tmp_path / "corpus")


class Letters:
    """A text of letters; a conversation is its messages with a 19 at their ends."""

    tokens, hole, ends = TEXT, "_", frozenset({19})

    def plain(self, text: str) -> list[int]:
        return [ord(letter) % 19 for letter in text]

    def around(self, messages: list[dict[str, str]]) -> list[list[int]]:
        return [self.plain(piece) for piece in "|".join(one["content"] for one in messages).split("_")]

    def read(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))

    def words_spelled(self, below: int) -> dict[int, list[int]]:
        return {}


def makers(corpus: TokenCorpus, **settings: float) -> Makers:
    run = SpeechGPTRun(stage=2, grids=GridRun(batch=3), **settings)  # type: ignore[arg-type]
    chosen = [(n,) for n in range(6)]
    return Makers(run, corpus, CONFIG, Letters(), chosen, chosen[:2], [([1], [2, 3])] * 10)  # type: ignore[arg-type]


def test_what_is_given_and_units_count_as_they_are_told_to(corpus: TokenCorpus) -> None:
    made = makers(corpus, given=0.25, unit=0.5, lines=1.0)
    batch = made.batches(0)
    marks, text = len(CONFIG.whole.marks), TEXT.size
    units = batch.ids >= marks + text
    plain = collate([made.grid("recognise", (0,), None)])
    assert set(batch.weights[units].tolist()) <= {0.125, 0.5} and set(batch.weights[~units].tolist()) == {
        0.0,
        0.25,
        1.0,
    }
    assert not batch.weights[..., 0].any() and not batch.weights[batch.ids == 0].any()
    assert (made.weighed(plain).weights[plain.weights > 0] >= 0.5).all()
    lines = (batch.ids[:, 0] == CONFIG.whole.marks.index("ta")).any(1)
    assert lines.sum() >= (~lines).sum() - 1, "as many lines of text as utterances"
    alone = makers(corpus, recognise=1.0, lines=0.0).batches(1)
    heard = (alone.ids[:, 0] == CONFIG.whole.marks.index("asked")).any(1)
    assert heard.all(), "all of it is written down"
    bare = makers(corpus, given=0.0, lines=0.0).batches(0)
    assert torch.equal(bare.weights > 0, bare.weights == 1)
    with pytest.raises(ConfigError, match="corrupt below 1, got"):
        SpeechGPTRun(corrupt=1.0)


def test_heard_units_are_corrupted_and_said_ones_are_not(corpus: TokenCorpus) -> None:
    made = makers(corpus, corrupt=0.5)
    whole = made.units(0)
    heard = [made.grid("recognise", (0,), np.random.default_rng(n)).ids.shape[1] for n in range(20)]
    assert min(heard) < made.grid("recognise", (0,), None).ids.shape[1]
    said = made.grid("synthesise", (0,), np.random.default_rng(1)).ids[0]
    start = len(CONFIG.whole.marks) + TEXT.size
    assert torch.equal(said[said >= start] - start, whole[0])


def test_lines_are_texts_or_conversations(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(
        'abc\n\n[{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc"}]\n'
    )
    assert text_pieces(tmp_path / "lines", Letters(), 3) == [([], [2, 3, 4]), ([2], [3, 4])]  # type: ignore[arg-type]
    for content, message in (("", "is empty"), ('[{"role": 1', "no list of messages")):
        (tmp_path / "lines").write_text(content)
        with pytest.raises(TextError, match=message):
            text_pieces(tmp_path / "lines", Letters(), 3)  # type: ignore[arg-type]


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = CONFIG.build()
    good, bad = ([CONFIG.layout("units").pack(items(ua=ids))] for ids in ([1, 2, 3, 4] * 4, [8, 7, 6, 5] * 4))
    run = GridRun(steps=14, batch=1, lr=3e-2, warmup=1, best=True)

    def batches(step: int) -> GridBatch:
        return collate(good if step < 5 else bad)

    def makes(model: nn.Module) -> AlphabetTask:
        return AlphabetTask(model, CONFIG.whole)

    more = {"makes": makes, "others": {"bad": bad}, "measure_seconds": 0.0}
    found = learn(tmp_path, "t", model, batches, good, run, seed=1, identity=None, **more)
    assert found.after["tokens"] < 0.8 * found.before["tokens"]
    assert loss_of(makes(model), good)["tokens"] == pytest.approx(found.after["tokens"], rel=1e-4)
    assert found.after["bad"] > found.after["tokens"]
    seen = [json.loads(line)["tokens"] for line in (tmp_path / "dev.jsonl").read_text().splitlines()]
    assert found.after["tokens"] == min(seen) < seen[-1]


def test_what_was_found_for_another_clip_is_the_control() -> None:
    clips = [Clip("s", torch.zeros(1), 16000, text, "here", True) for text in ("one two", "three four")]
    errors = ErrorRows("words", clips, lambda _: None)
    errors.add("own", ["One, two!", "three"])
    errors.other("another's", ["One, two!", "three"])
    own, other = (row.value for row in errors.table.rows)
    assert own is not None and (own.value, own.n) == (0.25, 2)
    assert other is not None and other.value == 1.0


def test_few_are_taken_from_all_over() -> None:
    assert list(some(range(1000)))[:2] == [0, 16] and list(some([1])) == [1] and not some([])
    model = nn.Module()
    model.lm = StreamLMConfig(trunk=TRUNK, lanes=CONFIG.whole.sizes).build()
    assert set(loss_of(AlphabetTask(model, CONFIG.whole), [])) == {"tokens", "right"}
