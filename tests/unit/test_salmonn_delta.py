"""A language model with ears is kept as what it learnt, over a language model that can be fetched."""

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import vivavoce
import vivavoce.core.places as places
import vivavoce.hub.salmonn as kept
import vivavoce.hub.text_model as published
from vivavoce.assistant.demo import RECORDINGS
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.parts import save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import Latents, Tokens, sound
from vivavoce.generate.joint import JointConfig
from vivavoce.hub.chat_model import load_chat_lm
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.bridge import SpellingConfig
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.lora import LoraLinear
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
    monkeypatch.setattr(kept, "load_chat_lm", lambda name: load_chat_lm(str(llm)))
    monkeypatch.setattr(kept, "token_vectors", lambda name, count: published.token_vectors(llm, count))
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "data"))
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
    small = [part for part in ears.system.model.modules() if isinstance(part, LoraLinear)]
    assert small and all(part.scale == ears.system.scale > 0 for part in small), "small maps count again"


def test_in_8_bits_nothing_that_was_learnt_changes(grown: tuple[Path, SalmonnModel]) -> None:
    folder, model = grown
    narrow, _ = kept.load_narrow(folder)
    learnt = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert learnt == {name for name, weight in narrow.named_parameters() if weight.requires_grad}
    wide, state = model.state_dict(), narrow.state_dict()
    for name in learnt | {"bridge.spelling.table"}:
        assert torch.equal(wide[name], state[name]), name
    x = torch.randn(1, 5, 32)
    with torch.no_grad():
        off = narrow.lm.trunk(x) - model.lm.trunk(x)
    assert 0 < off.square().mean() < 1e-3 * model.lm.trunk(x).square().mean()


def test_a_bundled_model_hears_by_it(
    grown: tuple[Path, SalmonnModel], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "WEIGHTS", tmp_path / "weights")
    args = ["export", str(grown[0]), str(tmp_path / "weights" / "speech"), "--bits", "8", "--ears", "speech"]
    assert CliRunner().invoke(app, args).exit_code == 0
    shutil.copytree(BUNDLED, tmp_path / "weights" / "mini")
    model = vivavoce.load(ears="speech")
    assert [ears.name for ears in model.ears.info] == ["speech"]
    assert model.transcribe(RECORDINGS / "1.ogg").transcript


def test_small_maps_that_learnt_nothing_are_not_kept(grown: tuple[Path, SalmonnModel]) -> None:
    folder, model = grown
    for name, weight in model.named_parameters():
        if ".qkv.up." in name:
            weight.data.zero_()
    kept.save_salmonn(folder, model, kept.load_model(folder)[1], {})
    assert all(name.startswith("bridge.") for name in load_file(folder / "salmonn.safetensors"))
    again, _ = kept.load_model(folder)
    x = torch.randn(1, 5, 32)
    with torch.no_grad():
        assert torch.equal(again.lm.trunk(x), model.lm.trunk(x))


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
