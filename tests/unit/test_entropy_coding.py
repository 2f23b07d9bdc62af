"""Coded tokens come back whatever they are, cost about what their entropy says, and damage does not pass unseen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.assistant.demo import LINES
from vivavoce.core.errors import ConfigError, SpecError, TrainingError
from vivavoce.core.parts import load_part, save_part
from vivavoce.generate.entropy_coding import Counts, CountsConfig, Decoder, Encoder, count
from vivavoce.generate.entropy_lm import FrameLm, FrameLmConfig, padded
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import entropy_lm, miniature, token_counts


def _rows(seed: int, count: int = 30, frames: int = 60) -> list[torch.Tensor]:
    """Two books: the first walks about, the second follows the first."""
    draw = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        first = np.cumsum(draw.integers(0, 2, frames)) % 16
        second = (3 * first + (draw.random(frames) < 0.1)) % 16
        rows.append(torch.from_numpy(np.stack([first, second])))
    return rows


@given(st.lists(st.tuples(st.integers(0, 6), st.lists(st.integers(1, 1 << 24), min_size=7, max_size=7)), max_size=40))
@settings(max_examples=80, deadline=None)
def test_any_ids_under_any_frequencies_come_back(symbols: list[tuple[int, list[int]]]):
    coder = Encoder()
    for id, frequencies in symbols:
        coder.put(id, np.array(frequencies))
    back = Decoder(coder.end())
    assert [back.take(np.array(frequencies)) for _, frequencies in symbols] == [id for id, _ in symbols]


def test_the_length_is_the_entropy():
    draw = np.random.default_rng(0)
    share = np.array([800, 100, 60, 40])
    ids = draw.choice(4, 4000, p=share / share.sum())
    coder = Encoder()
    for id in ids.tolist():
        coder.put(id, share)
    bits = -np.log2((share / share.sum())[ids]).sum()
    assert bits <= 8 * len(coder.end()) < bits + 40


def test_counts_of_a_corpus_code_others_in_fewer_bits(tmp_path: Path):
    counts = count(_rows(0), "a", 16)
    save_part(tmp_path, "token-counts", counts.config, counts)
    again: Counts = load_part(tmp_path, "token-counts")
    assert again.alphabet == counts.alphabet
    plain = coded = 0
    for row in _rows(1, 5):
        data = counts.encode(row)
        assert torch.equal(again.decode(data, row.shape[1]), row)
        assert again.encode(row) == data
        coded, plain = coded + 8 * len(data), plain + 4 * row.numel()
    assert coded < 0.6 * plain


def test_ids_that_were_never_counted_come_back_too():
    counts = count(_rows(0, 2, 10), "a", 300)
    strange = torch.randint(0, 300, (2, 40))
    assert torch.equal(counts.decode(counts.encode(strange), 40), strange)
    assert counts.decode(counts.encode(strange[:, :0]), 0).shape == (2, 0)


def test_what_cannot_be_is_refused():
    counts = count(_rows(0, 2, 10), "a", 16)
    with pytest.raises(SpecError, match="ids below 16"):
        counts.encode(torch.full((2, 3), 16))
    with pytest.raises(SpecError, match="2 books"):
        counts.encode(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(SpecError, match="end too early"):
        counts.decode(counts.encode(torch.randint(0, 16, (2, 9)))[:3], 5000)
    with pytest.raises(ConfigError, match="no tokens to count"):
        count([], "a", 16)
    with pytest.raises(ConfigError, match="at least one book"):
        CountsConfig(alphabet="a", size=1, books=1).build()


@pytest.mark.parametrize(("depth", "share"), [(0, 0.7), (24, 0.55)])
def test_a_small_language_model_codes_what_it_learnt_and_anything_else(tmp_path: Path, depth: int, share: float):
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=16, norm="layer")
    model = FrameLmConfig(alphabet="a", size=16, books=2, trunk=trunk, depth=depth).build()
    batch = padded([*_rows(0, 12, 30), _rows(2, 1, 20)[0]])
    assert batch[0].shape == (13, 2, 30) and batch[1].tolist() == [30] * 12 + [20]
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(120):
        optimizer.zero_grad()
        model.loss(*padded(_rows(10 + step, 8, 30))).backward()
        optimizer.step()
    save_part(tmp_path, "token-lm", model.config, model)
    again: FrameLm = load_part(tmp_path, "token-lm")
    assert again.alphabet == model.alphabet
    plain = coded = 0
    for row in _rows(1, 2, 40):
        data = again.encode(row)
        assert torch.equal(again.decode(data, row.shape[1]), row)
        coded, plain = coded + 8 * len(data), plain + 4 * row.numel()
    assert coded < share * plain
    strange = torch.randint(0, 16, (2, 12))
    assert torch.equal(again.decode(again.encode(strange), 12), strange)
    changed = strange.clone()
    changed[:, 7:] = 0
    with torch.no_grad():
        assert torch.equal(again(strange[None])[:, :8, 0], again(changed[None])[:, :8, 0]), "a frame sees those before"
        changed = strange.clone()
        changed[1] = 0
        assert torch.equal(again(changed[None])[:, 0], again(strange[None])[:, 0]), "no book sees itself or later ones"
        changed = strange.clone()
        changed[0, 7] = (changed[0, 7] + 1) % 16
        first, other = again(strange[None])[:, 7], again(changed[None])[:, 7]
        assert torch.equal(first[:, 0], other[:, 0])
        assert torch.equal(first[:, 1], other[:, 1]) == (depth == 0), "the second sees the first where there is depth"
    with pytest.raises(SpecError, match="ids below 16"):
        again.encode(torch.full((2, 3), 16))
    with pytest.raises(SpecError, match="end too early"):
        again.decode(b"\x01", 500)


def test_a_language_model_goes_on_from_one_of_the_same_tokens_only(tmp_path: Path):
    assert entropy_lm.debug(tmp_path / "first")["after"] < 2.0
    corpus = next((tmp_path / "first").rglob("utterances.jsonl")).parent
    trunk = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=64, norm="layer")
    run = entropy_lm.EntropyLmRun(stream="units", trunk=trunk, steps=1, lr=0.0)
    again = entropy_lm.train(run, corpus, tmp_path / "again", start=tmp_path / "first")
    assert again.alphabet == load_part(tmp_path / "first", "token-lm").alphabet
    miniature.unit_corpus(tmp_path / "other", LINES, size=24)
    other = next((tmp_path / "other").rglob("utterances.jsonl")).parent
    with pytest.raises(TrainingError, match="other tokens"):
        entropy_lm.train(run, other, tmp_path / "no", start=tmp_path / "first")


def test_what_each_id_costs_by_itself():
    rows = [torch.tensor([[0, 0, 0, 1], [2, 2, 2, 2]])]
    unigram = token_counts.Unigram.of(rows, 2, 4)
    first = (0.75 * np.log2(3.5 / 6) + 0.25 * np.log2(1.5 / 6)) * -1
    assert unigram.bits(rows) == pytest.approx(first - np.log2(4.5 / 6))
    assert unigram.use == pytest.approx([np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25)) / 4, 0.25])
