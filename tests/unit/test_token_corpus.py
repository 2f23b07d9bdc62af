"""Token corpora: made once per part, stale when a part or the manifest changes, drawn by seconds, collated to grids."""

import json
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vivavoce.core.errors import ConfigError, ManifestError
from vivavoce.core.layout import Layout, Segment
from vivavoce.core.streams import Tokens
from vivavoce.data.manifest import Record, read_manifest
from vivavoce.data.tokens import Batches, TokenCorpus, add_stream
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.train import fit
from vivavoce.train.tasks.grid import GridBatch, GridTask, collate

CODES = Tokens(name="codes", alphabet="codec-1", size=9, books=2, rate=Fraction(25))
PHONES = Tokens(name="phones", alphabet="phones-1", size=5)


def speech(folder: Path, count: int = 12) -> list[Record]:
    lines = []
    for number in range(count):
        path = folder / f"{number}.wav"
        path.write_text("sound")
        line = {"id": str(number), "path": path.name, "split": "dev" if number % 4 == 3 else "train", "speaker": "x"}
        line |= {"seconds": 0.04 * (number + 1), "sample_rate": 16000, "licence": "CC0", "text": "so it is"}
        lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "manifest.jsonl")


class Encoder:
    def __init__(self, spec: Tokens) -> None:
        self.spec, self.runs = spec, 0

    def __call__(self, record: Record) -> Tensor:
        self.runs += 1
        frames = int(record.id) + 1
        return torch.arange(frames * self.spec.books).view(self.spec.books, -1) % self.spec.size


def test_streams_are_made_once_and_again_when_something_changed(tmp_path: Path) -> None:
    records, out = speech(tmp_path), tmp_path / "corpus"
    codes, phones = Encoder(CODES), Encoder(PHONES)
    for _ in range(2):
        add_stream(out, records, CODES, codes)
        add_stream(out, records, PHONES, phones)
    assert codes.runs == phones.runs == 12
    corpus = TokenCorpus(out)
    assert corpus.specs == {"codes": CODES, "phones": PHONES}
    assert torch.equal(corpus.items(4)["codes"], codes(records[4]))
    assert [corpus.utterances[index].split for index in corpus.of("dev")] == ["dev"] * 3
    add_stream(out, records, replace(CODES, alphabet="codec-2"), codes)
    assert codes.runs == 25 and TokenCorpus(out).spec("codes").alphabet == "codec-2"
    add_stream(out, records[:-1], PHONES, phones)
    with pytest.raises(ManifestError, match=r"'codes' in .* was made of other utterances"):
        TokenCorpus(out)
    with pytest.raises(ManifestError, match="is no token corpus"):
        TokenCorpus(tmp_path)
    with pytest.raises(ManifestError, match="no stream 'text', only codes, phones"):
        corpus.spec("text")


def corpus_of(tmp_path: Path) -> TokenCorpus:
    records = speech(tmp_path)
    add_stream(tmp_path / "corpus", records, CODES, Encoder(CODES))
    add_stream(tmp_path / "corpus", records, PHONES, Encoder(PHONES))
    return TokenCorpus(tmp_path / "corpus")


def test_batches_are_a_function_of_the_step_and_every_utterance_comes_once_a_pass(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    made = Batches(corpus, range(12), lambda indices, draw: (indices, draw.random()), seconds=1.0, seed=1, buckets=3)
    again = Batches(corpus, range(12), lambda indices, draw: (indices, draw.random()), seconds=1.0, seed=1, buckets=3)
    for number in range(3):
        steps = range(number * made.per_pass, (number + 1) * made.per_pass)
        assert Counter(index for step in steps for index in made(step)[0]) == Counter(range(12))
        assert [made(step) for step in steps] == [again(step) for step in steps]
    for step in range(made.per_pass):
        seconds = [corpus.utterances[index].seconds for index in made(step)[0]]
        assert len(seconds) == 1 or len(seconds) * max(seconds) <= 1.0
        assert max(seconds) - min(seconds) < 0.2
    assert [made(step) for step in range(made.per_pass)] != [
        made(step + made.per_pass) for step in range(made.per_pass)
    ]
    with pytest.raises(ConfigError, match="no utterance"):
        Batches(corpus, [], lambda indices, draw: indices, seconds=1.0, seed=1)


def test_a_grid_task_learns_what_counts(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    layout = Layout(blocks=(Segment(stream=PHONES, role="given"), Segment(stream=CODES, delays=(0, 1))))

    def grids(indices: list[int], _: object) -> GridBatch:
        seconds = sum(corpus.utterances[index].seconds for index in indices)
        return collate([layout.pack(corpus.items(index)) for index in indices], (1.0, 0.25), seconds)

    batches = Batches(corpus, corpus.of("train"), grids, seconds=0.6, seed=1)
    batch = batches(0)
    assert set(batch.weights.unique().tolist()) <= {0.0, 0.25, 1.0} and not batch.weights[:, :, 0].any()
    torch.manual_seed(0)
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=32, window=64)
    task = GridTask(StreamLMConfig(trunk=trunk, lanes=layout.sizes).build())
    with torch.no_grad():
        terms = task.losses("model", batch, task.outputs(batch))
        padded = GridBatch(*(torch.nn.functional.pad(part, (0, 5)) for part in (batch.ids, batch.weights)))
        other = task.losses("model", padded, task.outputs(padded))
        assert float(terms["tokens"].value) == pytest.approx(float(other["tokens"].value), rel=1e-5)
    run = fit(task, batches, torch.optim.AdamW(task.parameters(), lr=1e-2), steps=60, bf16=False)
    assert run.losses["tokens"] < 0.7 * float(terms["tokens"].value)
    assert run.audio_seconds > 1.0
