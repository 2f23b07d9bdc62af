"""The four laws of streaming, for every block of sound: whole == chunked; rows; pause; nothing in, nothing out."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.streaming import Streaming
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.nn.conv import ConvConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.spectral import SpectralHeadConfig

SEANET = SeanetConfig(dim=6, channels=4, strides=(2, 3))
MEL = LogMelConfig(sample_rate=2400, bins=12, hop=24, window=96, n_fft=128, fmax=1200.0)
BLOCKS: dict[str, Callable[[], Any]] = {
    "conv": lambda: ConvConfig(inputs=3, outputs=4, kernel=5, dilation=2).build(),
    "strided": lambda: ConvConfig(inputs=3, outputs=4, kernel=7, stride=3).build(),
    "pointwise": lambda: ConvConfig(inputs=3, outputs=4).build(),
    "transposed": lambda: ConvConfig(inputs=3, outputs=4, kernel=6, stride=3).transposed(),
    "convnext": lambda: ConvNeXtConfig(dim=3, depth=2, kernel=4).build(),
    "seanet encoder": SEANET.encoder,
    "seanet decoder": SEANET.decoder,
    "spectral head": lambda: SpectralHeadConfig(dim=3, window=32, hop=8).build(),
    "log mel": MEL.build,
}
WIDTH = {"seanet encoder": 1, "seanet decoder": 6, "log mel": 0}


def made(name: str) -> Any:
    torch.manual_seed(1)
    return BLOCKS[name]().eval()


def input_of(name: str, block: Any, rows: int, units: int) -> Tensor:
    """So many smallest steps of input."""
    width, ticks = WIDTH.get(name, 3), units * block.timing.hop
    return torch.randn(rows, width, ticks) if width else 0.1 * torch.randn(rows, ticks)


def run(block: Any, x: Tensor, sizes: Sequence[int], state: Any) -> Tensor:
    pieces = x.split([size * block.timing.hop for size in sizes], dim=-1)
    return torch.cat([block.step(piece, state) for piece in pieces], dim=-1)


@pytest.mark.parametrize("name", BLOCKS)
def test_it_claims_to_stream(name: str):
    assert isinstance(made(name), Streaming)


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_chunked_is_whole(name: str, sizes: list[int]):
    block = made(name)
    x = input_of(name, block, 2, sum(sizes))
    with torch.no_grad():
        assert torch.allclose(run(block, x, sizes, block.init_state(2)), block(x), atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_rows_do_not_see_each_other(name: str):
    block = made(name)
    x = input_of(name, block, 3, 4)
    with torch.no_grad():
        together = run(block, x, [1, 3], block.init_state(3))
        alone = run(block, x[1:2], [1, 3], block.init_state(1))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_paused_row_does_not_change(name: str):
    block = made(name)
    x = input_of(name, block, 2, 6)
    first, middle, last = x.split(2 * block.timing.hop, dim=-1)
    with torch.no_grad():
        state = block.init_state(2)
        block.step(first, state)
        before = state.clone()
        block.step(middle, state, torch.tensor([True, False]))
        for now, then in zip(state.tensors(), before.tensors(), strict=True):
            assert torch.equal(now[1], then[1])
        resumed = block.step(last, state)
        whole = run(block, torch.cat((first, last), dim=-1)[1:], [2, 2], block.init_state(1))
        assert torch.allclose(resumed[1], whole[0, ..., whole.shape[-1] // 2 :], atol=1e-5)
        whole = run(block, x[:1], [2, 2, 2], block.init_state(1))
        assert torch.allclose(resumed[0], whole[0, ..., whole.shape[-1] * 2 // 3 :], atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_nothing_in_gives_nothing_out(name: str):
    block = made(name)
    x = input_of(name, block, 2, 2)
    with torch.no_grad():
        state = block.init_state(2)
        block.step(x, state)
        before = state.clone()
        assert block.step(x[..., :0], state).shape[-1] == 0
    assert all(torch.equal(a, b) for a, b in zip(state.tensors(), before.tensors(), strict=True))


@pytest.mark.parametrize("name", BLOCKS)
def test_fresh_is_all_zeros(name: str):
    assert not any(leaf.any() for leaf in made(name).init_state(2).tensors())


def tiny_codec() -> Codec:
    torch.manual_seed(0)
    thin = ConvNeXtConfig(dim=16, depth=1)
    codec = CodecConfig(
        mel=MEL,
        encode_fine=thin,
        encode_coarse=thin,
        decode_coarse=thin,
        decode_fine=thin,
        books=3,
        size=16,
        code_dim=4,
    ).build()
    codec.quantizer.start(torch.randn(4, 16, 64))
    return codec.eval()


@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any))
def test_the_codec_chunked_is_whole(sizes: list[int]):
    codec = tiny_codec()
    hop = codec.config.hop
    wave = 0.1 * torch.randn(2, sum(sizes) * hop)
    with torch.no_grad():
        codes = codec.encode(wave)
        hearing, speaking = codec.init_encode(2), codec.init_decode(2)
        pieces = [codec.encode_step(piece, hearing) for piece in wave.split([n * hop for n in sizes], dim=1)]
        assert torch.equal(torch.cat(pieces, dim=2), codes)
        sound = torch.cat([codec.decode_step(piece, speaking) for piece in pieces], dim=1)
        assert torch.allclose(sound, codec.decode(codes), atol=1e-5)


def test_the_codec_keeps_rows_apart_and_pauses_them():
    codec = tiny_codec()
    wave = 0.1 * torch.randn(2, 4 * codec.config.hop)
    active = torch.tensor([True, False])
    with torch.no_grad():
        hearing, speaking = codec.init_encode(2), codec.init_decode(2)
        codes = codec.encode_step(wave, hearing)
        codec.decode_step(codes, speaking)
        kept = (hearing.clone(), speaking.clone())
        codec.decode_step(codec.encode_step(wave.flip(1), hearing, active), speaking, active)
        for state, then in zip((hearing, speaking), kept, strict=True):
            for a, b in zip(state.tensors(), then.tensors(), strict=True):
                assert torch.equal(a[1], b[1])
        assert not torch.equal(hearing.mel.past[0], kept[0].mel.past[0])
        assert torch.equal(codes[:1], codec.encode(wave[:1]))
        assert codec.encode_step(wave[:, :0], hearing).shape == (2, 3, 0)
        assert codec.decode_step(codes[:, :, :0], speaking).shape == (2, 0)
