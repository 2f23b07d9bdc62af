"""Other people's codecs from the command line: by folder, tokens of them alone, and ours written for others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from vivavoce.assistant import tokens
from vivavoce.cli.main import app
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.hub import codecs
from vivavoce.models.codec import Codec
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.systems.encodec import ChunkedCodec, Chunks, encodec


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


def changed(path: Path, held: dict[str, Any]) -> None:
    """A token file with these fields."""
    np.savez(path, **held)


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
    frames = held["codes"].shape[1]
    spoiled: list[tuple[dict[str, Any], str]] = [
        ({"codes": held["codes"] + 16}, "wanted 4 books"),
        ({"codes": held["codes"][:2]}, "wanted 4 books"),
        ({"samples": np.array(-1)}, "tells of -1 samples"),
        ({"frames": np.array([frames + 3, -3]), "loudness": np.ones(2)}, "do not belong together"),
        ({"frames": np.array([frames]), "loudness": np.array([np.inf])}, "no token file"),
    ]
    for fields, hint in spoiled:
        changed(tokens, held | fields)
        refused(run("tokens", "decode", tokens, "-o", tmp_path / "out.wav", "--model", folder), hint)


def test_a_part_of_ours_is_written_for_others(folder: Path, tmp_path: Path) -> None:
    done = run("export", folder / "ours", tmp_path / "theirs", "--to", "hf")
    assert done.exit_code == 0, done.output
    codec, again = codecs.load(folder), codecs.load(tmp_path / "theirs")
    assert isinstance(codec, Codec) and isinstance(again, Codec) and again.tokens == codec.tokens
    refused(run("export", folder / "ours", tmp_path / "theirs", "--to", "onnx"), "--to onnx")
    mini = Path(codecs.__file__).parents[1] / "weights/mini"
    refused(run("export", mini, tmp_path / "no", "--to", "hf"), "not one of strided convolutions")


def test_a_codec_that_takes_chunks(stereo: Path, tmp_path: Path) -> None:
    recording, tokens, made = sound(tmp_path / "in.wav", 9_001), tmp_path / "in.npz", tmp_path / "out.wav"
    model = ("--model", stereo)
    for samples in (1, 25, 9_001):
        sound(recording, samples)
        done = run("tokens", "encode", recording, "-o", tokens, *model)
        assert done.exit_code == 0, done.output
        done = run("tokens", "decode", tokens, "-o", made, *model, "--books", "2")
        assert done.exit_code == 0, done.output
        assert (soundfile.info(made).frames, soundfile.info(made).channels) == (samples, 2)
    with np.load(tokens) as file:
        held = dict(file)
    frames, ones = held["frames"], np.ones(2)
    spoiled: list[tuple[dict[str, Any], str]] = [
        ({"frames": np.array([frames.sum() - 1, 1]), "loudness": ones}, "cannot be"),
        ({"frames": frames[::-1]}, "cannot be"),
        ({"samples": np.array(8_000)}, "cannot be"),
        ({"frames": frames * np.inf}, "no token file"),
        ({"loudness": held["loudness"][:-1]}, "do not belong together"),
    ]
    for fields, hint in spoiled:
        changed(tokens, held | fields)
        refused(run("tokens", "decode", tokens, "-o", made, *model), hint)
    changed(tokens, {name: value for name, value in held.items() if name != "loudness"})
    refused(run("tokens", "decode", tokens, "-o", made, *model), "do not say how their recording was cut")
    assert run("export", stereo, tmp_path / "again", "--to", "hf").exit_code == 0
    again = codecs.load(tmp_path / "again")
    assert isinstance(again, ChunkedCodec) and again.chunks == Chunks(samples=2_400, step=2_000)


def test_folders_that_hold_no_codec_say_what_they_hold(tmp_path: Path) -> None:
    recording, folder = sound(tmp_path / "in.wav"), tmp_path / "model"
    folder.mkdir()
    encode = ("tokens", "encode", recording, "-o", tmp_path / "in.npz", "--model")
    refused(run(*encode, folder), "holds no codec: there is no codec.json")
    refused(run(*encode, "porter"), "porter holds no codec")
    (folder / "config.json").write_text('{"model_type": "hubert"}')
    refused(run(*encode, folder), "holds no codec that can be read")
    save_file({"x": torch.zeros(1)}, folder / "model.safetensors")
    refused(run(*encode, folder), "vivavoce train units --set features=encoder")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    refused(run(*encode, folder), "a codec of the kind 'bert' is not known; known are encodec")
    (folder / "config.json").write_text("[]")
    refused(run(*encode, folder), "no codec that can be read")
    (folder / "config.json").unlink()
    units = UnitsConfig(front=SpectrumConfig(), quantizer=KMeansConfig(dim=SpectrumConfig().dim, size=4)).build()
    save_part(folder, "units", units.config, units)
    refused(run("export", folder, tmp_path / "out", "--to", "hf"), "there is units, which make no sound")
    save_part(folder, "codec", units.config, units)
    refused(run(*encode, folder), "is a Units; give a folder with a codec")


def test_packed_tokens_come_back_and_foreign_or_damaged_ones_do_not(folder: Path, tmp_path: Path) -> None:
    speech = tmp_path / "speech"
    speech.mkdir()
    records = [
        Record(
            id=str(n), path=f"{n}.wav", split=split, speaker="a", seconds=0.5, sample_rate=24_000, licence="CC0",
            source="tones",
        )
        for n, split in enumerate(("train", "train", "dev"))
    ]  # fmt: skip
    for record in records:
        tone = 0.2 * np.sin(np.arange(12_000) * np.pi / 60 + int(record.id))
        soundfile.write(speech / record.path, tone.astype(np.float32), 24_000, subtype="FLOAT")
    write_manifest(speech, records)
    corpus, counts, ours = tmp_path / "corpus", tmp_path / "counts", tmp_path / "lively"
    codec = load_part(folder / "ours", "codec")
    with torch.no_grad():
        codec.quantizer.start(codec.front(0.2 * (torch.arange(12_000) * torch.pi / 60).sin()[None, None]))
    save_part(ours, "codec", codec.config, codec)
    assert run("tokens", "corpus", speech, "--part", ours, "-o", corpus).exit_code == 0
    done = run("train", "token-counts", "--with", f"corpus={corpus}", "--out", counts)
    assert done.exit_code == 0 and "less than the 16.00 of plain ids" in done.output, done.output
    assert read_card(counts, "token-counts")["held_out"]["recordings"] == 1
    packed, plain, made = tmp_path / "packed.npz", tmp_path / "plain.npz", tmp_path / "out.wav"
    recording, model = speech / "2.wav", ("--model", ours)
    for file, more in ((plain, ()), (packed, ("--pack", counts))):
        assert run("tokens", "encode", recording, "-o", file, *model, *more).exit_code == 0
    wanted, found = tokens.load(codec, plain), tokens.load(codec, packed, tokens.open_coder(counts))
    assert torch.equal(found.codes.data, wanted.codes.data) and found.samples == wanted.samples
    with np.load(packed) as file:
        held = dict(file)
    assert str(held["made_by"]).startswith("vivavoce ") and "codes" not in held
    assert len(held["packed"]) < wanted.codes.data.numel() * 4 / 8
    assert run("tokens", "decode", packed, "-o", made, *model, "--pack", counts).exit_code == 0
    refused(run("tokens", "decode", packed, "-o", made, *model), "name its folder with --pack")
    refused(run("tokens", "encode", recording, "-o", packed, *model, "--books", "2", "--pack", counts), "4 books of")
    refused(run("tokens", "encode", recording, "-o", packed, "--pack", counts), "this coder is of")
    for nothing in (tmp_path / "none", speech, packed):
        refused(run("tokens", "encode", recording, "-o", plain, *model, "--pack", nothing), "holds nothing that packs")
    save_part(tmp_path / "odd", "token-counts", codec.config, codec)
    refused(run("tokens", "encode", recording, "-o", plain, "--pack", tmp_path / "odd"), "is a Codec, which packs no")
    spoiled = held["packed"].copy()
    spoiled[3] ^= 64
    for name, value, told in (
        ("packed", spoiled, "is damaged"),
        ("packed", held["packed"][:5], "end too early"),
        ("length", np.array(10**6), "cannot be"),
        ("coder", np.array("counts-0"), "packed by counts-0, not"),
        ("check", np.array("?"), "no token file"),
    ):
        changed(tmp_path / "bad.npz", held | {name: value})
        refused(run("tokens", "decode", tmp_path / "bad.npz", "-o", made, *model, "--pack", counts), told)
    packed.write_bytes(packed.read_bytes()[:-40])
    refused(run("tokens", "decode", packed, "-o", made, *model, "--pack", counts), "no token file")
