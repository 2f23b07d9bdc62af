"""A bundled model whose ears are kept over models that are fetched: how it is written, found and named."""

import json
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

import vivavoce.assistant.described as described
import vivavoce.core.places as places
import vivavoce.hub.salmonn as kept
from vivavoce.assistant.described import SYSTEMS, read_model
from vivavoce.assistant.model import load
from vivavoce.assistant.tokens import open_tokenizer
from vivavoce.assistant.used import used_of
from vivavoce.cli.main import app
from vivavoce.core.errors import PartError
from vivavoce.core.parts import load_part, load_weights, save_part
from vivavoce.core.places import BUNDLED, WEIGHTS
from vivavoce.core.streams import Latents
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.whisper_layer import WhisperLayerConfig
from vivavoce.models.bridge import SpellingConfig
from vivavoce.models.codec import Codec
from vivavoce.recipes import miniature
from vivavoce.recipes.bridge import Shape
from vivavoce.systems.salmonn import GrownFrom, SalmonnConfig

EARS, MIND = "whisper-base", "smollm2-135m-instruct"
CLI = CliRunner()


def run_of(folder: Path) -> Path:
    """What a run leaves behind over Whisper and a chat model, of which nothing is here."""
    found = load_text_model(miniature.chat_model(folder / "llm", dim=64), 256)
    frames = Latents(name="whisper", alphabet="test", dim=512, rate=Fraction(50))
    shape = Shape(dim=64, layers=1, spelling=SpellingConfig(pieces=256))
    config = SalmonnConfig(
        bridge=shape.config(frames, 64), text=found.text.tokens, trunk=found.lm.config.trunk, filled=False,
        llm=GrownFrom(name=MIND, sha256="1" * 64), shown=("a line",),
    )  # fmt: skip
    kept.save_salmonn(folder / "run", config.build(), found.text, {"recipe": "salmonn"})
    encoder = WhisperLayerConfig(model=EARS, weights="0" * 16, stride=1, fitted=True)
    save_part(folder / "run" / "first", "encoder", encoder, nn.Module())
    return folder / "run"


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled models, with what was learnt exported into ``speech``; nothing was fetched."""
    made = tmp_path / "weights"
    shutil.copytree(BUNDLED.parent, made)
    (made / "speech" / "model.json").unlink(missing_ok=True)
    for module in (places, described):
        monkeypatch.setattr(module, "WEIGHTS", made)
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "nothing"))
    args = ["export", str(run_of(tmp_path)), str(made / "speech"), "--part", "salmonn", "--bits", "8"]
    done = CLI.invoke(app, [*args, "--ears", "speech", "--mind", MIND])
    assert done.exit_code == 0, done.output
    return made


def test_it_hears_over_fetched_models_and_speaks_with_the_default_voice(weights: Path, tmp_path: Path) -> None:
    found = read_model("speech")
    assert (found.name, found.ears, found.mind) == ("speech", "speech", MIND)
    assert all(found.at(part).name == "mini" for part in SYSTEMS["mini"]), (
        "its own codec is for tokens, not for a voice"
    )
    codec = open_tokenizer("speech")
    assert isinstance(codec, Codec) and codec.tokens != load_part(BUNDLED, "codec").tokens
    assert open_tokenizer("speech:units").tokens == load_part(weights / "speech", "units").tokens
    with pytest.raises(PartError, match="units"):
        open_tokenizer("mini:units")
    _, wide = load_weights(tmp_path / "run", "salmonn")
    _, narrow = load_weights(weights / "speech", "salmonn")
    for name, weight in wide.items():
        rows = weight.flatten(1) if weight.ndim > 1 else weight[None]
        step = rows.abs().amax(-1, keepdim=True).clamp(min=1e-12) / 127
        assert ((narrow[name].reshape(rows.shape) - rows).abs() <= step * 0.51).all(), name
    size = (weights / "speech" / "salmonn.safetensors").stat().st_size
    assert size < 0.6 * (tmp_path / "run" / "salmonn.safetensors").stat().st_size


def test_what_it_stands_on_is_named_where_it_is_missing(weights: Path) -> None:
    said = f"{EARS} and {MIND} are not on this machine; fetch their 246 MB: vivavoce models get {EARS} {MIND}"
    for wanted in (partial(load, "speech"), partial(load, ears="speech"), partial(load, mind="speech")):
        with pytest.raises(PartError, match=f"^{said}$"):
            wanted()
    with pytest.raises(
        PartError, match=f"{EARS} is not on this machine; fetch its 148 MB: vivavoce models get {EARS}$"
    ):
        kept.SalmonnRecogniser(weights / "speech")


def test_get_and_list_know_what_it_stands_on(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("vivavoce.hub.fetch.get", lambda model, report: asked.append(model.name) or Path(model.name))
    assert CLI.invoke(app, ["models", "get", "speech"]).exit_code == 0
    assert asked == [EARS, MIND]
    assert f"speech: {EARS}, {MIND}\n" in CLI.invoke(app, ["models", "list"]).output
    used = used_of("ears", "speech", "speech")
    assert used.name == f"speech over {EARS} and {MIND}"
    assert used.licence == "Apache-2.0, MIT" and "OpenAI" in used.credit and "Hugging Face" in used.credit


def test_a_bundled_name_and_a_folder_mean_the_same(weights: Path) -> None:
    assert kept.is_salmonn("speech") and kept.is_salmonn(weights / "speech") and not kept.is_salmonn("mini")
    assert kept.stands_on(weights / "speech") == (EARS, MIND)
    assert kept.below(["mini", "speech", MIND]) == ["mini", EARS, MIND]
    assert json.loads((weights / "speech" / "first" / "encoder.json").read_text())["config"]["model"] == EARS


def test_minds_keep_their_embeddings_in_16_bits(tmp_path: Path) -> None:
    done = CLI.invoke(app, ["export", str(BUNDLED), str(tmp_path), "--part", "mind", "--bits", "8"])
    assert done.exit_code == 0, done.output
    for name, weight in load_weights(BUNDLED, "mind")[1].items():
        assert torch.equal(load_weights(tmp_path, "mind")[1][name], weight), f"{name} is rounded already"


def test_minds_may_have_embeddings_of_8_bits_as_the_porters_has(tmp_path: Path) -> None:
    source, args = WEIGHTS / "porter", ["--part", "mind", "--bits", "8", "--embeddings"]
    for bits in ("8", "16"):
        done = CLI.invoke(app, ["export", str(source), str(tmp_path / bits), *args, bits])
        assert done.exit_code == 0, done.output
    shipped, same = (load_file(folder / "mind.safetensors") for folder in (source, tmp_path / "8"))
    assert shipped["lm.embed"].dtype == torch.int8 and shipped.keys() == same.keys()
    for name, weight in shipped.items():
        if name.endswith("::scale"):  # is found again from the largest of a row
            torch.testing.assert_close(same[name], weight, rtol=1e-6, atol=0)
        else:
            assert same[name].dtype == weight.dtype and torch.equal(same[name], weight), name
    assert load_part(tmp_path / "8", "mind").config == load_part(source, "mind").config
    assert load_file(tmp_path / "16" / "mind.safetensors")["lm.embed"].dtype == torch.float16


@pytest.mark.parametrize(
    ("bits", "embeddings", "hint"), [("16", "8", "go with --bits 8"), ("8", "12", "stored with 8 or 16 bits")]
)
def test_bits_that_do_not_go_together_are_refused(tmp_path: Path, bits: str, embeddings: str, hint: str) -> None:
    args = ["export", str(BUNDLED), str(tmp_path), "--part", "mind", "--bits", bits, "--embeddings", embeddings]
    done = CLI.invoke(app, args)
    assert done.exit_code == 2 and hint in done.output and not list(tmp_path.iterdir())
