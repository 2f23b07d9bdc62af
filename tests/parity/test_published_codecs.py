"""Codecs beside ``transformers`` with the same random weights, through a folder: tokens, sound, steps, and back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.streams import Wave, whole
from vivavoce.hub import codecs
from vivavoce.hub.encodec import chunks_of, given_chunks
from vivavoce.models.codec import Codec
from vivavoce.systems.encodec import ChunkedCodec, Chunks

transformers = pytest.importorskip("transformers")


def encodec(**changes: Any) -> Any:
    config = {
        "num_filters": 4, "hidden_size": 8, "upsampling_ratios": [3, 2], "target_bandwidths": [36.0, 60.0],
        "codebook_size": 8, "num_residual_layers": 2,
    }  # fmt: skip
    return transformers.EncodecModel(transformers.EncodecConfig(**config | changes))


STEREO = {
    "norm_type": "time_group_norm", "use_causal_conv": False, "audio_channels": 2, "normalize": True,
    "chunk_length_s": 0.01, "overlap": 0.1, "sampling_rate": 48000, "target_bandwidths": [96.0],
}  # fmt: skip


def mimi() -> Any:
    return transformers.MimiModel(
        transformers.MimiConfig(
            hidden_size=16, num_filters=4, upsampling_ratios=[3, 2], num_quantizers=4, codebook_size=8,
            vector_quantization_hidden_dimension=8, codebook_dim=8, num_hidden_layers=2, intermediate_size=32,
            num_attention_heads=2, num_key_value_heads=2, sliding_window=5, upsample_groups=16,
            layer_scale_initial_scale=0.5,
        )
    )  # fmt: skip


def dac() -> Any:
    return transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=4, downsampling_ratios=[2, 5], decoder_hidden_size=16, n_codebooks=3, codebook_size=8,
            codebook_dim=3,
        )
    )  # fmt: skip


def saved(theirs: Any, folder: Path) -> Any:
    """A reference whose books are not all zeros, written to a folder."""
    torch.manual_seed(3)
    for name, value in theirs.state_dict().items():
        if name.endswith(("codebook.embed", "embed_sum")):
            value.copy_(0.3 * torch.randn_like(value))
        if name.startswith("encoder") and name.endswith("original0"):  # loud enough to use all entries
            value.mul_(2.5)
        if name.endswith("cluster_usage"):
            value.copy_(0.5 + torch.rand_like(value))
        if name.endswith(("alpha", "norm.weight")):
            value.copy_(0.5 + torch.rand_like(value))
        if name.endswith(("conv1.weight", "conv2.weight", "proj.weight", "fc1.weight", "fc2.weight")):
            value.copy_(0.3 * torch.randn_like(value))
    theirs.eval().save_pretrained(folder)
    return theirs


def used(codes: Tensor) -> int:
    """How many entries the least used book gave."""
    return min(book.unique().numel() for book in codes.unbind(1))


def opened(folder: Path) -> Codec:
    codec = codecs.load(folder)
    assert isinstance(codec, Codec)
    return codec


def spoken(frames: int, hop: int, channels: int = 1) -> Tensor:
    return 0.3 * torch.randn(2, channels, frames * hop, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("edge", ["reflect", "constant"])
def test_encodec_24(edge: str, tmp_path: Path) -> None:
    theirs, wave = saved(encodec(pad_mode=edge), tmp_path), spoken(40, 6)
    ours = opened(tmp_path)
    with torch.no_grad():
        wanted = theirs.encode(wave, bandwidth=60.0)
        codes = ours.encode(whole(ours.config.wave, wave))
        assert torch.equal(codes.data, wanted.audio_codes[0]) and used(codes.data) >= 3
        few = ours.encode(whole(ours.config.wave, wave), 3)
        assert torch.equal(few.data, theirs.encode(wave, bandwidth=36.0).audio_codes[0])
        for tokens in (codes, few):
            sound = theirs.decode(tokens.data[None], [None]).audio_values
            assert torch.allclose(ours.decode(tokens).data, sound, atol=1e-5)
        assert torch.allclose(
            ours.decode(ours.encode(whole(ours.config.wave, wave[:, :, :12]))).data,
            theirs.decode(theirs.encode(wave[:, :, :12], bandwidth=60.0).audio_codes, [None]).audio_values,
            atol=1e-5,
        )
        stepped(ours, wave, codes.data, ours.decode(codes).data, 8 if edge == "reflect" else 0)


def test_encodec_48_in_chunks(tmp_path: Path) -> None:
    theirs, wave = saved(encodec(**STEREO), tmp_path), spoken(167, 6, 2)
    ours = codecs.load(tmp_path)
    assert isinstance(ours, ChunkedCodec) and not ours.codec.streams
    with torch.no_grad():
        wanted = theirs.encode(wave, bandwidth=96.0)
        coded = ours.encode(whole(ours.codec.config.wave, wave))
        last = coded.frames[-1]
        frames = [*wanted.audio_codes[:-1], wanted.audio_codes[-1][..., :last]]
        assert coded.frames == (80, 80, 23) and torch.equal(coded.codes.data, torch.cat(frames, dim=2))
        assert torch.allclose(coded.loudness, torch.cat(wanted.audio_scales, dim=1))
        sound = theirs.decode(
            wanted.audio_codes, wanted.audio_scales, last_frame_pad_length=wanted.last_frame_pad_length
        ).audio_values
        assert torch.allclose(ours.decode(coded).data, sound, atol=1e-5)
    with pytest.raises(ConfigError, match="looks ahead"):
        ours.codec.init_encode(1)
    with pytest.raises(SpecError, match="channels=2"):
        ours.encode(whole(Wave(sample_rate=48000), wave[:, :1]))
    with pytest.raises(SpecError, match=r"9 books were asked .* has 4"):
        ours.encode(whole(ours.codec.config.wave, wave), 9)


def test_mimi(tmp_path: Path) -> None:
    theirs, wave = saved(mimi(), tmp_path), spoken(20, 12)
    ours = opened(tmp_path)
    with torch.no_grad():
        codes = ours.encode(whole(ours.config.wave, wave))
        assert torch.equal(codes.data, theirs.encode(wave).audio_codes) and used(codes.data) >= 3
        assert torch.equal(
            ours.encode(whole(ours.config.wave, wave), 2).data, theirs.encode(wave, num_quantizers=2).audio_codes
        )
        sound = theirs.decode(codes.data).audio_values
        assert torch.allclose(ours.decode(codes).data, sound, atol=1e-5)
        stepped(ours, wave, codes.data, sound, 0)


def test_dac(tmp_path: Path) -> None:
    theirs, wave = saved(dac(), tmp_path), spoken(24, 10)
    ours = opened(tmp_path)
    with torch.no_grad():
        codes = ours.encode(whole(ours.config.wave, wave))
        assert torch.equal(codes.data, theirs.encode(wave).audio_codes) and used(codes.data) >= 3
        wanted = theirs.decode(audio_codes=codes.data).audio_values
        sound = ours.decode(codes).data[:, 0]
        assert sound.shape[1] == wave.shape[2] and torch.allclose(sound[:, : wanted.shape[1]], wanted, atol=1e-5)


def stepped(ours: Codec, wave: Tensor, codes: Tensor, sound: Tensor, late: int) -> None:
    """Uneven pieces give the same tokens and sound, the first of them up to ``late`` frames late."""
    hop, sizes = ours.config.hop, [1, 3, 0, 2, 7]
    sizes.append(wave.shape[2] // hop - sum(sizes))
    hearing, speaking = ours.init_encode(2), ours.init_decode(2)
    heard = [ours.encode_step(piece[:, 0], hearing) for piece in wave.split([n * hop for n in sizes], dim=2)]
    assert torch.equal(torch.cat(heard, dim=2), codes)
    given = [0]
    for piece, size in zip(heard, sizes, strict=True):
        given.append(given[-1] + piece.shape[2])
        assert given[-1] == sum(sizes[: len(given) - 1]) or (given[-1] == 0 and sum(sizes[: len(given) - 1]) <= late)
        assert size or not piece.shape[2]
    made = torch.cat([ours.decode_step(piece, speaking) for piece in codes.split(sizes, dim=2)], dim=1)
    assert torch.allclose(made, sound[:, 0], atol=1e-5)


def test_conversations_begin_together_where_the_first_frames_are_mirrored(tmp_path: Path) -> None:
    saved(encodec(), tmp_path)
    ours, wave = opened(tmp_path), spoken(8, 6)[:, 0]
    state = ours.init_encode(2)
    ours.encode_step(wave, state, torch.tensor([True, False]))
    with pytest.raises(SpecError, match="begin together"):
        ours.encode_step(wave, state)


@pytest.mark.parametrize("make", [encodec, mimi])
def test_what_is_written_loads_again_with_equal_outputs(make: Any, tmp_path: Path) -> None:
    theirs = saved(make(), tmp_path / "theirs")
    codecs.write(opened(tmp_path / "theirs"), tmp_path / "ours")
    again, info = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    wave = spoken(20, 12)
    with torch.no_grad():
        codes = [model.eval().encode(wave).audio_codes for model in (theirs, again)]
        assert torch.equal(*codes)
        scales = ([None],) if make is encodec else ()
        made = [model.decode(codes[0], *scales).audio_values for model in (theirs, again)]
        assert torch.allclose(*made, atol=1e-5)


def test_chunks_are_written_with_the_codec(tmp_path: Path) -> None:
    theirs, wave = saved(encodec(**STEREO), tmp_path / "theirs"), spoken(167, 6, 2)
    codecs.write(codecs.load(tmp_path / "theirs"), tmp_path / "ours")
    again, info = type(theirs).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert (again.config.chunk_length, again.config.chunk_stride) == (480, 432)
    with torch.no_grad():
        wanted, found = (model.eval().encode(wave, bandwidth=96.0) for model in (theirs, again))
        made = [model.decode(wanted.audio_codes, wanted.audio_scales).audio_values for model in (theirs, again)]
    assert all(map(torch.equal, wanted.audio_codes, found.audio_codes))
    assert all(map(torch.equal, wanted.audio_scales, found.audio_scales)) and torch.allclose(*made, atol=1e-5)
    for samples, step, rate in ((48_000, 47_520, 48_000), (441, 100, 44_100), (7, 3, 22_050), (32_000, 32_000, 32_000)):
        chunks = Chunks(samples=samples, step=step, levelled=False)
        assert chunks_of(given_chunks(chunks, rate) | {"sampling_rate": rate}) == chunks


def test_a_recording_of_any_length_has_the_frames_that_its_chunks_say(tmp_path: Path) -> None:
    saved(encodec(**STEREO), tmp_path)
    ours = codecs.load(tmp_path)
    assert isinstance(ours, ChunkedCodec)
    for samples in (1, 5, 6, 7, 431, 432, 433, 438, 480, 481, 864, 913, 1000):
        wave = 0.3 * torch.randn(1, 2, samples)
        coded = ours.encode(whole(ours.codec.config.wave, wave))
        assert coded.frames == ours.frames_of(samples), samples
        assert ours.decode(coded).data.shape[2] >= samples


@pytest.mark.parametrize("make", [encodec, mimi, dac])
def test_missing_left_over_and_strange_tensors_are_refused(make: Any, tmp_path: Path) -> None:
    saved(make(), tmp_path)
    given, state = json.loads((tmp_path / "config.json").read_text()), load_file(tmp_path / "model.safetensors")
    name = next(key for key in state if key.endswith("bias"))
    for wrong in (
        {key: value for key, value in state.items() if key != name},
        state | {"more": torch.zeros(1)},
        state | {name: torch.zeros(99)},
    ):
        with pytest.raises(PartError):
            codecs.codec_of(given, wrong)
    with pytest.raises(PartError, match="does not say"):
        codecs.codec_of({key: value for key, value in given.items() if not key.startswith("codebook")}, state)
    with pytest.raises(PartError, match="known are encodec"):
        codecs.codec_of(given | {"model_type": "opus"}, state)
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:100])
    with pytest.raises(PartError, match="fetch it again"):
        codecs.load(tmp_path)


@pytest.mark.parametrize("make", [encodec, mimi, dac])
def test_no_tensor_may_be_missing_that_says_anything(make: Any, tmp_path: Path) -> None:
    saved(make(), tmp_path)
    given, state = json.loads((tmp_path / "config.json").read_text()), load_file(tmp_path / "model.safetensors")
    wave = spoken(20, 60)
    wanted = opened(tmp_path).encode(whole(opened(tmp_path).config.wave, wave)).data
    for name in state:
        less = {key: value for key, value in state.items() if key != name}
        if name.endswith(("embed_avg", "cluster_size", "inited", "initialized")):  # of training alone
            codec = codecs.codec_of(given, less)
            assert isinstance(codec, Codec) and torch.equal(codec.encode(whole(codec.config.wave, wave)).data, wanted)
            continue
        with pytest.raises(PartError):
            codecs.codec_of(given, less)


def test_what_cannot_be_held_is_said(tmp_path: Path) -> None:
    saved(encodec(), tmp_path)
    given, state = json.loads((tmp_path / "config.json").read_text()), load_file(tmp_path / "model.safetensors")
    for strange in ({"trim_right_ratio": 0.5}, {"pad_mode": "circular"}, {"codebook_dim": 4}, {"normalize": True}):
        with pytest.raises(PartError, match="not known"):
            codecs.codec_of(given | strange, state)
    ours = opened(tmp_path)
    with pytest.raises(SpecError, match="99 books were asked for and the codec has"):
        ours.encode(whole(ours.config.wave, spoken(2, 6)), 99)
