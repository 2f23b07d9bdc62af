"""What the shipped weights give for a shipped recording did not change by accident; `make golden` writes it again."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.audio.files import mono, pad_to, read_audio
from vivavoce.core import config as configs
from vivavoce.core.parts import load_part

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "src/vivavoce/weights/mini"
RECORDINGS = ROOT / "src/vivavoce/assistant/recordings"
KEPT = Path(__file__).with_name("default_model.safetensors")


def compared(part: str, value: Tensor, rewrite: bool) -> Tensor:
    """What was kept for the weights that are shipped; ``value`` itself when it is being written."""
    weights = json.loads((WEIGHTS / f"{part}.json").read_text())["weights"]["sha256"]
    name = f"{part}:{weights}"
    kept = load_file(KEPT) if KEPT.exists() else {}
    if rewrite:
        others = {key: tensor for key, tensor in kept.items() if not key.startswith(f"{part}:")}
        save_file(others | {name: value.half().contiguous()}, KEPT)
        return value
    if name not in kept:
        pytest.fail(f"the weights of {part} are newer than what was kept for them; run: make golden")
    return kept[name].float()


def recording(rate: int) -> Tensor:
    path = sorted(path for path in RECORDINGS.iterdir() if path.suffix in {".flac", ".wav", ".ogg", ".opus"})[0]
    return mono(read_audio(path, rate)[0])[: 2 * rate]


def test_the_listener_hears_the_same(rewrite: bool):
    listener = load_part(WEIGHTS, "listener")
    with torch.inference_mode():
        found = listener.listen(recording(16_000)[None]).ctc[0]
    kept = compared("listener", found, rewrite)
    assert (found.exp() - kept.exp()).abs().max() < 0.02


def test_the_codec_sounds_the_same(rewrite: bool):
    codec = load_part(WEIGHTS, "codec")
    with torch.inference_mode():
        wave = pad_to(recording(24_000), codec.config.hop)[None]
        mel = codec.mel(codec.decode(codec.encode(wave)))[0]
    kept = compared("codec", mel, rewrite)
    assert (mel - kept).abs().mean() < 0.05


@pytest.mark.parametrize("path", sorted(WEIGHTS.parent.rglob("*.json")), ids=lambda path: path.stem)
def test_every_card_still_loads(path: Path):
    described = json.loads(path.read_text())
    config = configs.load(described["config"])
    assert configs.dump(config) == described["config"]
