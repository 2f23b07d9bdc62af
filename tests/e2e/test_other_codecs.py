"""Other people's codecs from the command line: by folder, tokens of them alone, and ours written for others."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

from vivavoce.cli.main import app
from vivavoce.core.parts import save_part
from vivavoce.hub import codecs
from vivavoce.models.codec import Codec
from vivavoce.systems.encodec import encodec


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, hint: str) -> None:
    said = result.stderr.strip()
    assert result.exit_code == 2 and len(said.splitlines()) == 1 and hint in said, result.output


def small(folder: Path) -> Codec:
    """A codec in EnCodec's form, as others load it, and as a part of ours."""
    codec = encodec(channels=2, dim=8, strides=(4, 5), books=4, size=16, choices=(2, 4), memory_layers=1).build().eval()
    codec.quantizer.start(0.05 * torch.randn(1, 8, 64))
    codecs.write(codec, folder)
    save_part(folder / "ours", "codec", codec.config, codec)
    return codec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small(tmp_path / "model")
    return tmp_path / "model"


def sound(path: Path, samples: int = 12_000, loud: float = 0.2) -> Path:
    wave = loud * np.random.default_rng(1).standard_normal(samples)
    soundfile.write(path, wave.astype(np.float32), 24_000, subtype="FLOAT")
    return path


def test_tokens_by_anothers_codec(folder: Path, tmp_path: Path) -> None:
    recording, tokens, made = sound(tmp_path / "in.wav"), tmp_path / "in.npz", tmp_path / "out.wav"
    done = run("tokens", "encode", recording, "-o", tokens, "--model", folder)
    assert done.exit_code == 0 and "4 books x 600 frames, 0.50 s" in done.output, done.output
    assert run("tokens", "decode", tokens, "-o", made, "--model", folder / "ours").exit_code == 0
    assert soundfile.info(made).frames == 12_000
    refused(run("tokens", "decode", tokens, "-o", made), "encode the recording again")
    refused(run("tokens", "encode", recording, "-o", tokens, "--books", "5", "--model", folder), "5 books were asked")
    assert run("tokens", "encode", recording, "-o", tokens, "--books", "2", "--model", folder).exit_code == 0
    assert run("tokens", "decode", tokens, "-o", made, "--model", folder).exit_code == 0
    refused(run("tokens", "decode", tokens, "-o", made, "--books", "3", "--model", folder), "the tokens have 2")
    refused(run("tokens", "encode", recording, "-o", tokens, "--model", "hf:no/body"), "vivavoce models get hf:no/body")


@pytest.mark.parametrize(("samples", "loud"), [(1, 0.2), (4_000, 0.0), (25, 0.2)])
def test_little_and_silence(folder: Path, tmp_path: Path, samples: int, loud: float) -> None:
    recording, tokens = sound(tmp_path / "in.wav", samples, loud), tmp_path / "in.npz"
    assert run("tokens", "encode", recording, "-o", tokens, "--model", folder).exit_code == 0
    assert run("tokens", "decode", tokens, "-o", tmp_path / "out.wav", "--model", folder).exit_code == 0
    assert soundfile.info(tmp_path / "out.wav").frames == samples


def test_what_is_no_number_or_was_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    recording, tokens = tmp_path / "in.wav", tmp_path / "in.npz"
    soundfile.write(recording, np.array([0.1, np.nan] * 500, np.float32), 24_000, subtype="FLOAT")
    assert run("tokens", "encode", recording, "-o", tokens, "--model", folder).exit_code == 2
    run("tokens", "encode", sound(recording), "-o", tokens, "--model", folder)
    with np.load(tokens) as file:
        held = dict(file)
    for name, value in (("codes", held["codes"] + 16), ("codes", held["codes"][:2]), ("samples", np.array(-1))):
        np.savez(tokens, **held | {name: value})
        refused(run("tokens", "decode", tokens, "-o", tmp_path / "out.wav", "--model", folder), "wanted 4 books")


def test_a_part_of_ours_is_written_for_others(folder: Path, tmp_path: Path) -> None:
    done = run("export", folder / "ours", tmp_path / "theirs", "--to", "hf")
    assert done.exit_code == 0, done.output
    codec, again = codecs.load(folder), codecs.load(tmp_path / "theirs")
    assert isinstance(codec, Codec) and isinstance(again, Codec) and again.tokens == codec.tokens
    refused(run("export", folder / "ours", tmp_path / "theirs", "--to", "onnx"), "--to onnx")
    mini = Path(codecs.__file__).parents[1] / "weights/mini"
    refused(run("export", mini, tmp_path / "no", "--to", "hf"), "not one of strided convolutions")
