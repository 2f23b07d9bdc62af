"""What no tokenizer of any kind trips over: other rates, silence, one sample, what is no number, foreign tokens, more
books than there are."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch.nn.functional import pad
from typer.testing import CliRunner, Result

from vivavoce.assistant.tokens import book_names, encode, load
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import sound as stream_of
from vivavoce.generate.entropy_coding import count
from vivavoce.models.codec import mel_codec
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_layer import EncoderLayerConfig
from vivavoce.models.features import ListenerLayerConfig, SpectrumConfig
from vivavoce.models.listener import ListenerConfig
from vivavoce.models.posteriors import PosteriorsConfig
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.encodec import encodec
from vivavoce.systems.facodec import FacodecConfig
from vivavoce.systems.melvq import melvq
from vivavoce.systems.mimi import mimi
from vivavoce.systems.soundstream import soundstream
from vivavoce.systems.speechtokenizer import speechtokenizer
from vivavoce.systems.unit_codec import begun

NET = SeanetConfig(dim=8, channels=2, strides=(4, 5))
TRUNK = TransformerConfig(dim=8, layers=1, heads=2, kv_heads=2, hidden=16, window=9, norm="layer", gated=False)
THIN = ConvNeXtConfig(dim=16, depth=1)
LISTENER = ListenerConfig(trunk=ConformerConfig(dim=16, layers=2, heads=2, window=12, dropout=0.0))
MEL: dict[str, Any] = {"encode_fine": THIN, "encode_coarse": THIN, "decode_coarse": THIN, "decode_fine": THIN}
CODECS: dict[str, Callable[[], Any]] = {
    "mel": lambda: mel_codec(books=3, size=16, code_dim=8, **MEL),
    "mel + VQ": lambda: melvq(fine=THIN, coarse=THIN, vocoder=THIN, books=3, size=16, code_dim=8),
    "mel + finite scalars": lambda: melvq(fine=THIN, coarse=THIN, vocoder=THIN, levels=(5, 5, 5)),
    "soundstream": lambda: soundstream(channels=2, dim=8, strides=(4, 5), books=3, size=16),
    "encodec": lambda: encodec(channels=2, dim=8, strides=(4, 5), books=4, size=16, choices=(2,), memory_layers=1),
    "speechtokenizer": lambda: speechtokenizer(channels=2, dim=8, strides=(4, 5), books=3, size=16),
    "mimi": lambda: mimi(net=NET, trunk=TRUNK, books=3, size=16, code_dim=4),
    "facodec": lambda: FacodecConfig(
        net=replace(NET, residuals=1, compress=1, activation="snake", causal=False, trim="both"),
        timbre=replace(TRUNK, causal=False), size=16, code_dim=4, phones=5,
    ),
}  # fmt: skip
ENCODER = EncoderConfig(
    front=WaveFrontConfig(dim=16),
    trunk=replace(TRUNK, dim=16, window=1 << 20, causal=False, bias=True, rotary=False),
    positions=ConvPositionsConfig(kernel=8, groups=4),
)
CAUSAL = EncoderConfig(
    front=StridedMelFrontConfig(channels=4, dim=16),
    trunk=ConformerConfig(dim=16, layers=2, heads=2, kernel=5, chunk=4, window=12, positions="keys", left=6, right=2),
    streams=True,
)
FRONTS = {
    "an encoder's layer": EncoderLayerConfig(encoder=ENCODER, layer=1),
    "a causal encoder's layer": EncoderLayerConfig(encoder=CAUSAL, layer=1),
    "spectra": SpectrumConfig(stride=2),
    "cepstra": SpectrumConfig(stride=2, cepstra=5),
    "a listener's layer": ListenerLayerConfig(listener=LISTENER, layer=1),
    "posteriors": PosteriorsConfig(listener=LISTENER),
}
KINDS = [*CODECS, "codec of units", *FRONTS, "finite scalars"]
BOTH_WAYS = {"speechtokenizer", "facodec", "an encoder's layer"}
"""What looks ahead without end: it takes whole recordings only."""


def part(kind: str) -> tuple[str, Any]:
    """A tokenizer with random weights, whose books hold something."""
    torch.manual_seed(3)
    if kind == "finite scalars":
        front = FRONTS["a listener's layer"]
        return "units", UnitsConfig(front=front, quantizer=FiniteScalarConfig(dim=front.dim, levels=(5, 5))).build()
    if kind in FRONTS:
        made = UnitsConfig(front=FRONTS[kind], quantizer=KMeansConfig(dim=FRONTS[kind].dim, size=12)).build()
        made.quantizer.load_state_dict({**made.quantizer.state_dict(), "centers": torch.randn(12, FRONTS[kind].dim)})
        return "units", made
    if kind == "codec of units":
        codec, units = part("mel")[1].eval(), part("posteriors")[1].eval()
        waves = [0.1 * torch.randn(24_000) for _ in range(2)]
        return "codec", begun(codec, units, waves, books=3, code_dim=8)
    made = CODECS[kind]().build()
    if hasattr(made, "quantizer"):
        made.quantizer.start(0.3 * torch.randn(4, made.config.front.dim, 32))
    return "codec", made


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_causal_gives_the_same_in_steps(kind: str) -> None:
    name, made = part(kind)
    made.eval()
    if kind in BOTH_WAYS:
        assert not getattr(made, "streams", False)
        if hasattr(made, "init_encode"):
            with pytest.raises(ConfigError):
                made.init_encode(1)
        return
    rate, chunk, delay = made.config.sample_rate, made.timing.hop, getattr(made, "delay", 0)
    time = torch.arange(40 * chunk - 7) / rate
    swelling = torch.sin(2 * torch.pi * (0.5 + 10 / time[-1]) * time) ** 4  # whatever the length, it is loud and soft
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(2))
    wave = (swelling * (0.2 * noise + torch.sin(2 * torch.pi * 300 * time * (1 + time / time[-1]))))[None]
    if hasattr(made.quantizer, "centers"):  # among the features, so that several are chosen
        frames = made.features(wave)[0].T
        made.quantizer.centers.copy_(frames[torch.linspace(0, len(frames) - 1, len(made.quantizer.centers)).long()])
    given = pad(wave, (0, delay))
    given = pad(given, (0, -given.shape[1] % chunk))
    codes = made.encode(stream_of(wave[0], rate))
    state = made.init_encode(1)
    sizes = [chunk, 3 * chunk, 0, 7 * chunk]
    pieces = given.split([*sizes, given.shape[1] - sum(sizes)], dim=1)
    heard = torch.cat([made.encode_step(piece, state) for piece in pieces], dim=2)
    assert torch.equal(heard[:, :, : codes.data.shape[2]], codes.data) and len(codes.data.unique()) > 1
    if name == "units":
        return
    sound, state = made.decode(codes).data[0, 0], made.init_decode(1)
    frames = [1, 3, 0, 2, codes.data.shape[2] - 6]
    said = torch.cat([made.decode_step(piece, state) for piece in codes.data.split(frames, dim=2)], dim=1)
    assert sound.abs().max() > 0
    assert torch.allclose(said[0, delay : delay + len(wave[0])], sound[: len(wave[0])], atol=1e-5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    known: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in known:
            known[kind] = tmp_path_factory.mktemp("tokenizer")
            name, made = part(kind)
            save_part(known[kind], name, made.config, made)
        return known[kind]

    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tokens", *map(str, arguments)])


def refused(result: Result, *hints: str) -> None:
    said = result.stderr.strip()
    assert result.exit_code == 2 and len(said.splitlines()) == 1, result.output
    assert all(hint in said for hint in hints), said


def recording(path: Path, wave: np.ndarray, rate: int) -> Path:
    soundfile.write(path, wave.astype(np.float32), rate, subtype="FLOAT")
    return path


NOISE = 0.2 * np.random.default_rng(1).standard_normal(6_000)


@pytest.mark.parametrize("kind", KINDS)
def test_any_sound_is_tokens_and_what_is_none_is_refused(
    kind: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = folders(kind)
    units = (folder / "units.json").exists()
    made = load_part(folder, "units" if units else "codec")
    model, tokens, again = ("--model", folder), tmp_path / "in.npz", tmp_path / "out.wav"
    for wave, rate in ((NOISE, 8_000), (NOISE, 48_000), (np.zeros(4_000), 24_000), (NOISE[:1], 24_000)):
        sound = recording(tmp_path / "in.wav", wave, rate)
        done = run("encode", sound, "-o", tokens, *model)
        assert done.exit_code == 0, done.output
        if units:
            refused(run("decode", tokens, "-o", again, *model), "units alone make no sound")
            continue
        done = run("decode", tokens, "-o", again, *model)
        assert done.exit_code == 0, done.output
        about = soundfile.info(again)
        assert about.samplerate == made.config.sample_rate
        assert abs(about.frames - len(wave) * about.samplerate / rate) <= 1
    tokens.unlink()
    sound = recording(tmp_path / "in.wav", NOISE, 24_000)
    books = 1 if units else made.tokens.books
    refused(run("encode", sound, "-o", tokens, "--books", str(books + 1), *model), f"{books + 1} books were asked")
    refused(run("encode", recording(sound, np.array([0.1, np.nan] * 500), 24_000), "-o", tokens, *model), "in.wav")
    refused(run("encode", recording(sound, np.zeros(0), 24_000), "-o", tokens, *model), "in.wav")
    assert not tokens.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_of_another_tokenizer_form_or_size_are_refused(
    kind: str, folders: Callable[[str], Path], tmp_path: Path
) -> None:
    sound, tokens, other = recording(tmp_path / "in.wav", NOISE, 24_000), tmp_path / "in.npz", tmp_path / "other.npz"
    model = ("--model", folders(kind))
    assert run("encode", sound, "-o", tokens, *model).exit_code == 0
    strange = folders("encodec" if kind != "encodec" else "spectra")
    assert run("encode", sound, "-o", other, "--model", strange).exit_code == 0
    units = (folders(kind) / "units.json").exists()  # which make no sound, but can be looked at
    look, out = ("show", tmp_path / "out.png") if units else ("decode", tmp_path / "out.wav")
    with np.load(tokens) as file:
        held = dict(file)
    spoiled = {
        "encode the recording again, or name with --model": other,
        "update vivavoce": held | {"version": np.array(9)},
        "ids below": held | {"codes": held["codes"] + 20_000},
        "no token file": held | {"spec": np.array("{}")},
        "no token file that": held | {"codes": held["codes"].astype(np.float32)},
        "make one with": held | {"codes": np.full(held["codes"].shape, np.nan)},
        "tells of -1 samples": held | {"samples": np.array(-1)},
        "tells of 9000000 samples": held | {"samples": np.array(9_000_000)},
        "tells of 0 samples": held | {"samples": np.array(0)},
        "no token file that can": held | {"samples": np.array(np.inf)},
        "token file that can be read": held | {"version": np.array(np.inf)},
        "that can be read; make": held | {"spec": np.array("[" * 100_000)},
        "there is no file": tmp_path / "none.npz",
    }
    if "voice" in held:
        spoiled["no token file that can be read"] = held | {"voice": held["voice"] * np.nan}
    for hint, given in spoiled.items():
        if isinstance(given, dict):
            np.savez(tmp_path / "bad.npz", **given)
        path = given if isinstance(given, Path) else tmp_path / "bad.npz"
        refused(run(look, path, "-o", out, *model), hint)
    whole = tokens.read_bytes()
    tokens.write_bytes(whole[:-60])
    refused(run(look, tokens, "-o", out, *model), "no token file")
    assert not out.exists()
    draw = np.random.default_rng(3)
    opened = load_part(folders(kind), "units" if units else "codec")
    for _ in range(60):  # whatever is changed in it, there is a sentence, or it is what can be read
        spoiled_bytes = bytearray(whole)
        for place in draw.integers(len(whole), size=3):
            spoiled_bytes[place] ^= 1 << int(draw.integers(8))
        tokens.write_bytes(spoiled_bytes)
        with contextlib.suppress(SpecError):
            load(opened, tokens)


def test_a_file_that_wants_more_memory_than_there_is_is_refused(folders: Callable[[str], Path], tmp_path: Path) -> None:
    sound, tokens = recording(tmp_path / "in.wav", NOISE, 24_000), tmp_path / "in.npz"
    model = ("--model", folders("mimi"))
    assert run("encode", sound, "-o", tokens, *model).exit_code == 0
    with np.load(tokens) as file:
        held = {name: value for name, value in file.items() if name != "codes"}
    np.savez(tokens, **held)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<u2", "fortran_order": False, "shape": (3, 10**13)})
    with zipfile.ZipFile(tokens, "a") as archive:
        archive.writestr("codes.npy", header.getvalue())
    refused(run("decode", tokens, "-o", tmp_path / "out.wav", *model), "no token file")


def test_ids_above_65_535_are_kept_whole(tmp_path: Path) -> None:
    """Finite scalars of many levels have more of them than two bytes hold."""
    torch.manual_seed(3)
    made = melvq(fine=THIN, coarse=THIN, vocoder=THIN, levels=(20, 20, 20, 20)).build()
    with torch.no_grad():  # the first numbers decide the least
        made.quantizer.into.weight.mul_(30)
    save_part(tmp_path / "wide", "codec", made.config, made)
    opened = load_part(tmp_path / "wide", "codec")
    sound, tokens = recording(tmp_path / "in.wav", NOISE, 24_000), tmp_path / "in.npz"
    wanted = encode(opened, sound)
    assert int(wanted.codes.data.max()) > 65_535
    wanted.save(tokens)
    assert torch.equal(load(opened, tokens).codes.data, wanted.codes.data)
    counts = count([wanted.codes.data[0]], wanted.codes.spec.alphabet, 160_000)
    wanted.save(tokens, counts)
    assert torch.equal(load(opened, tokens, counts).codes.data, wanted.codes.data)


def test_units_are_looked_at_without_a_sound_and_books_are_called_what_they_are(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    sound, tokens = recording(tmp_path / "in.wav", NOISE, 24_000), tmp_path / "in.npz"
    model = ("--model", folders("cepstra"))
    assert run("encode", sound, "-o", tokens, *model).exit_code == 0
    for given in (sound, tokens):
        done = run("show", given, "-o", tmp_path / "out.png", *model)
        assert done.exit_code == 0, done.output
        assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "out.png").unlink()
    for kind, name, names in (
        ("cepstra", "units", ["meaning"]),
        ("encodec", "codec", ["book 1", "book 2", "book 3", "book 4"]),
        ("mimi", "codec", ["meaning", "detail 1", "detail 2"]),
        ("codec of units", "codec", ["meaning", "detail 1", "detail 2"]),
        ("facodec", "codec", ["prosody 1", "content 1", "content 2", "detail 1", "detail 2", "detail 3"]),
    ):
        assert book_names(load_part(folders(kind), name)) == names


@pytest.mark.parametrize("out", [".", "..", "x", "x.NPZ", "x.wav"])
def test_a_result_s_name_says_what_it_is(out: str, folders: Callable[[str], Path], tmp_path: Path) -> None:
    sound, model = recording(tmp_path / "in.wav", NOISE, 24_000), ("--model", folders("mimi"))
    refused(run("encode", sound, "-o", out, *model), "tokens are written as .npz", "give -o")
    refused(run("show", sound, "-o", out, *model), "pictures are written as .png", "give -o")
