"""What recipes of synthesis begin with and are handed: a codec's vectors, attributes in a file, sounds made once."""

from pathlib import Path

import pytest
import torch

from vivavoce.audio.resample import resample
from vivavoce.core.errors import TrainingError
from vivavoce.data.attributes import Attributes
from vivavoce.data.scenes import Scenes
from vivavoce.models.book import BookLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.parler_data import read_attributes, write_attributes


def test_books_begin_as_the_codec_s_vectors_lie():
    trunk = TransformerConfig(
        dim=32, layers=1, heads=2, kv_heads=2, hidden=32, window=50, causal=False, condition=8
    )  # fmt: skip
    model = BookLMConfig(trunk=trunk, text=10, books=3, size=40).build()
    vectors = torch.randn(3, 40, 16)
    model.begin_by(vectors)
    assert abs(float(model.embed.detach().std()) - 0.02) < 2e-3
    for book in range(3):  # turned into another space, and nothing else: distances stay
        ratio = torch.pdist(model.embed[book].detach()) / torch.pdist(vectors[book])
        assert float(ratio.std() / ratio.mean()) < 1e-4


def test_attributes_are_read_back_in_the_order_that_is_asked_for(tmp_path: Path):
    found = [Attributes(pitch_hz=100.0 + n, liveliness=0.2, rate=11.0, noise_db=40.0, sex="F") for n in range(3)]
    write_attributes(tmp_path / "attributes.jsonl", ["a", "b", "c"], found)
    assert read_attributes(tmp_path / "attributes.jsonl", ["c", "a"]) == [found[2], found[0]]
    with pytest.raises(TrainingError, match=r"no attributes of all recordings.*'d'"):
        read_attributes(tmp_path / "attributes.jsonl", ["a", "d"])
    with pytest.raises(TrainingError, match=r"take the attributes\.jsonl of a run"):
        read_attributes(tmp_path / "nothing.jsonl", ["a"])


def test_stages_share_the_sounds_that_are_made_once():
    made = Scenes(1, 1600, 16000, 3, distinct=4)
    for seed in (4, 5):
        drawn = Scenes(6, 1600, 16000, seed, distinct=4, same=made)(0)
        kept = [made.made(name, number) for number, name in enumerate(["rain", "wind", "engine", "birds"])]
        assert all(any(torch.equal(wave, one) for one in kept) for wave in drawn.wave)


def test_an_empty_sound_is_empty_at_any_rate():
    assert resample(torch.zeros(0), 24000, 16000).shape == (0,)
    assert resample(torch.zeros(2, 0), 24000, 16000).shape == (2, 0)
