"""A T5 from a folder reads descriptions as the library's whole model does, and is stored nowhere else."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from vivavoce.core import config as configs
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import Tokens
from vivavoce.data.attributes import Bins, Scale
from vivavoce.hub.t5 import T5TextConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.parler import ParlerConfig

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEXTS = ["a slow, low voice", "high"]


@pytest.fixture(scope="module", params=["gated-gelu", "relu"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("t5")
    torch.manual_seed(3)
    config = transformers.T5Config(
        d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, vocab_size=40, feed_forward_proj=request.param,
        relative_attention_num_buckets=8, relative_attention_max_distance=16,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(config)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(made)
    letters = [("</s>", 0.0), ("<unk>", 0.0), *((letter, -2.0) for letter in "abcdefghijklmnopqrstuvwxyz ,")]
    pieces = tokenizers.Tokenizer(tokenizers.models.Unigram([*letters, ("low", -1.0)], unk_id=1))
    pieces.post_processor = tokenizers.processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 0)])
    pieces.save(str(made / "tokenizer.json"))
    return made


def test_vectors_are_those_of_the_whole_model(folder: Path) -> None:
    reader = T5TextConfig.of(folder).build()
    whole = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
    pieces = reader.pieces(TEXTS)
    assert pieces.lengths.tolist() == [14, 5]  # "low" is one piece, also in "slow", and there is an end
    for row, length in enumerate(pieces.lengths.tolist()):
        with torch.no_grad():
            theirs = whole.encoder(input_ids=pieces.ids[row : row + 1, :length]).last_hidden_state
        torch.testing.assert_close(reader(pieces)[row, :length], theirs[0], atol=1e-5, rtol=1e-4)


def test_a_part_says_which_t5_it_was_and_does_not_hold_it(folder: Path, tmp_path: Path) -> None:
    codes = Tokens(name="codes", alphabet="codec-1", size=6, books=2, rate=Fraction(25))
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=16, window=40, memory=32)
    words = T5TextConfig.of(folder)
    config = ParlerConfig(
        phones=Tokens(name="phones", alphabet="phones-1", size=5), codes=codes, trunk=trunk, words=words,
        bins=Bins(scales=(Scale(kind="pitch"),)),
    )  # fmt: skip
    model = config.build()
    assert not [name for name, _ in model.named_parameters() if name.startswith("words")]
    assert configs.load(configs.dump(config)) == config
    save_part(tmp_path, "parler", config, model)
    again = load_part(tmp_path, "parler")
    ids = torch.zeros(2, 2, 4, dtype=torch.long)
    for mine, theirs in zip(again(ids, again.words.pieces(TEXTS)), model(ids, model.words.pieces(TEXTS)), strict=True):
        torch.testing.assert_close(mine, theirs)
    model(ids, model.words.pieces(TEXTS))[0].sum().backward()
    with pytest.raises(ConfigError, match="make them equal"):
        replace(config, trunk=replace(trunk, memory=8)).build()


def test_another_t5_in_its_place_is_refused(folder: Path, tmp_path: Path) -> None:
    known = T5TextConfig.of(folder)
    with pytest.raises(PartError, match="not the one that the model was trained with"):
        T5TextConfig(folder=known.folder, digest="0" * 64, dim=known.dim).build()
    with pytest.raises(PartError, match="holds no T5"):
        T5TextConfig.of(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(PartError, match="'llama', wanted 't5'"):
        T5TextConfig.of(tmp_path)
