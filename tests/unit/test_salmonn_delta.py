"""A language model with ears is kept as what it learnt, over a language model that can be fetched."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import vivavoce.hub.salmonn as kept
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.parts import save_part
from vivavoce.core.streams import Latents, Tokens, sound
from vivavoce.generate.joint import JointConfig
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.bridge import SpellingConfig
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.bridge import Shape
from vivavoce.systems.salmonn import SalmonnConfig, SalmonnModel


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, SalmonnModel]:
    """A model over one that passes for a fetched one, and its folder."""
    llm = miniature.chat_model(tmp_path / "llm", dim=32, window=256, spread=0.3)
    weights = llm / "model.safetensors"
    monkeypatch.setattr(kept, "names", lambda: ("known",))
    monkeypatch.setattr(kept, "file_of", lambda name: weights)
    monkeypatch.setattr(kept, "load_text_model", lambda name, window: load_text_model(llm, window))
    torch.manual_seed(0)
    trunk = TransformerConfig(dim=24, layers=1, heads=2, kv_heads=2, hidden=48, window=600, causal=False)
    encoder = EncoderConfig(front=WaveFrontConfig(dim=24, kernels=(40, 8), strides=(40, 8)), trunk=trunk).build()
    save_part(tmp_path / "run" / "first", "encoder", encoder.config, encoder)
    found = load_text_model(llm, 256)
    shape = Shape(dim=32, layers=1, dropout=0.0, spelling=SpellingConfig(pieces=256))
    config = SalmonnConfig(
        bridge=shape.config(encoder.spec(), 32), text=found.text.tokens, trunk=found.lm.config.trunk, filled=False,
        llm=kept.grown_from("known"), joint=JointConfig(beam=3, near=4.0, most=6), shown=("a line",),
    )  # fmt: skip
    model = config.build().eval()
    model.read(found.lm)
    assert model.bridge.spelling is not None
    model.bridge.spelling.begin(found.lm.embed)  # type: ignore[arg-type]
    for name, weight in model.named_parameters():
        if weight.requires_grad:  # as they come back in half precision
            weight.data = (weight + 0.01 * torch.randn_like(weight)).half().float()
            assert name.startswith("bridge.") or ".up." in name or ".down." in name
    kept.save_salmonn(tmp_path / "run", model, found.text, {})
    return tmp_path / "run", model


def test_what_was_learnt_comes_back_over_the_published_model(grown: tuple[Path, SalmonnModel]) -> None:
    folder, model = grown
    stored = load_file(folder / "salmonn.safetensors")
    assert not [name for name in stored if ".linear." in name or "embed" in name or "table" in name]
    assert not (folder / "tokenizer.json").exists()
    again, text = kept.load_model(folder)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    ears = kept.SalmonnRecogniser(folder)
    heard = ears.system.heard(sound(torch.randn(16000) * 0.1, 16000))
    (written,) = ears.system.transcripts([heard])
    assert written == written.lower() and text.tokens == model.config.text
    assert ears.system.transcripts([heard], joint=False) != [written], "small maps count again"


def test_another_language_model_is_refused(grown: tuple[Path, SalmonnModel], tmp_path: Path) -> None:
    folder, _ = grown
    weights = tmp_path / "llm" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(PartError, match=r"was learnt beside another version of known"):
        kept.load_model(folder)
    assert kept.grown_from("runs/mine") is None


def test_only_a_bridge_that_spells_writes_jointly() -> None:
    frames = Latents(name="frames", alphabet="test", dim=24, rate=Fraction(50))
    shape = Shape(dim=32, layers=1, spelling=SpellingConfig(pieces=8))
    bridge = replace(shape.config(frames, 16), spelling=None)
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=64)
    text = Tokens(name="text", alphabet="test", size=9)
    with pytest.raises(ConfigError, match="only a bridge that spells"):
        SalmonnConfig(bridge=bridge, text=text, trunk=trunk, joint=JointConfig()).build()
