"""The codec of three parts: streaming laws whole, aligned streams, alphabets, and its first form."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core import config as configs
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Wave
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig, mel_codec
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.seanet import SeanetConfig

MEL = LogMelConfig(sample_rate=2400, bins=12, hop=24, window=96, n_fft=128, fmax=1200.0)


def tiny_codec(kind: str = "mel") -> Codec:
    """Three parts of one kind: mel in and spectra out under a split quantiser, or SEANet around a residual one."""
    torch.manual_seed(0)
    thin = ConvNeXtConfig(dim=16, depth=1)
    net = SeanetConfig(dim=16, channels=4, strides=(2, 4))
    config = {
        "mel": mel_codec(
            mel=MEL, encode_fine=thin, encode_coarse=thin, decode_coarse=thin, decode_fine=thin,
            books=3, size=16, code_dim=4,
        ),
        "seanet": CodecConfig(
            front=SeanetFrontConfig(net=net),
            quantizer=ResidualConfig(dim=16, code_dim=4, books=3, size=16),
            back=SeanetBackConfig(net=net),
        ),
    }[kind]  # fmt: skip
    codec = config.build()
    codec.quantizer.start(torch.randn(4, 16, 64))
    return codec.eval()


CODECS = pytest.mark.parametrize("kind", ["mel", "seanet"])


@CODECS
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(0, 4), min_size=1, max_size=6).filter(any))
def test_the_codec_chunked_is_whole(kind: str, sizes: list[int]):
    codec = tiny_codec(kind)
    hop = codec.config.hop
    wave = 0.1 * torch.randn(2, sum(sizes) * hop)
    with torch.no_grad():
        codes = codec.quantizer.encode(codec.front(wave[:, None]))
        hearing, speaking = codec.init_encode(2), codec.init_decode(2)
        pieces = [codec.encode_step(piece, hearing) for piece in wave.split([n * hop for n in sizes], dim=1)]
        assert torch.equal(torch.cat(pieces, dim=2), codes)
        sound = torch.cat([codec.decode_step(piece, speaking) for piece in pieces], dim=1)
        assert torch.allclose(sound, codec.back(codec.quantizer.decode(codes))[:, 0], atol=1e-5)


@CODECS
def test_fewer_books_are_the_first_ones_of_a_step(kind: str):
    codec = tiny_codec(kind)
    wave = 0.1 * torch.randn(1, 3 * codec.config.hop)
    with torch.no_grad():
        codes = codec.encode_step(wave, codec.init_encode(1))
        assert torch.equal(codec.encode_step(wave, codec.init_encode(1), books=2), codes[:, :2])
    with pytest.raises(SpecError, match="4 books were asked for"):
        codec.encode_step(wave, codec.init_encode(1), books=4)


@CODECS
def test_the_codec_keeps_rows_apart_and_pauses_them(kind: str):
    codec = tiny_codec(kind)
    wave = 0.1 * torch.randn(2, 4 * codec.config.hop)
    active = torch.tensor([True, False])
    with torch.no_grad():
        hearing, speaking = codec.init_encode(2), codec.init_decode(2)
        codes = codec.encode_step(wave, hearing)
        codec.decode_step(codes, speaking)
        kept = (hearing.clone(), speaking.clone())
        codec.decode_step(codec.encode_step(wave.flip(1), hearing, active), speaking, active)
        for state, then in zip((hearing, speaking), kept, strict=True):
            changed = [not torch.equal(a[0], b[0]) for a, b in zip(state.tensors(), then.tensors(), strict=True)]
            assert any(changed)
            for a, b in zip(state.tensors(), then.tensors(), strict=True):
                assert torch.equal(a[1], b[1])
        assert torch.equal(codes[:1], codec.encode_step(wave[:1], codec.init_encode(1)))
        assert codec.encode_step(wave[:, :0], hearing).shape == (2, 3, 0)
        assert codec.decode_step(codes[:, :, :0], speaking).shape == (2, 0)


@CODECS
def test_streams_through_the_codec_are_aligned_and_keep_their_lengths(kind: str):
    codec = tiny_codec(kind)
    hop = codec.config.hop
    waves = Stream(codec.config.wave, 0.1 * torch.randn(2, 1, 5 * hop), torch.tensor([5 * hop, 2 * hop + 3]))
    codes = codec.encode(waves)
    assert codes.spec == codec.tokens and codes.data.shape[:2] == (2, 3)
    back = codec.decode(codes)
    assert (back.lengths >= waves.lengths).all() and int(back.lengths.max()) <= back.data.shape[2]
    with torch.no_grad():
        raw = codec.back(codec.quantizer.decode(codes.data))
    assert torch.allclose(back.data, raw[:, :, codec.delay :], atol=1e-5)
    assert codec.decode(codes.part(0, 2)).data.shape == back.data.shape
    with pytest.raises(SpecError, match="wanted"):
        codec.decode(codes.part(1, 2))
    with pytest.raises(SpecError, match="sample_rate=8000"):
        codec.encode(Stream(Wave(sample_rate=8000), waves.data, waves.lengths))


@CODECS
def test_the_alphabet_is_what_decides_the_ids(kind: str):
    codec = tiny_codec(kind)
    alphabet = codec.tokens.alphabet
    with torch.no_grad():
        for weight in codec.back.parameters():
            weight.add_(0.1)
        for name, weight in codec.quantizer.named_parameters():
            if name.endswith(("out.weight", "out.bias")):
                weight.add_(0.1)
    assert codec.tokens.alphabet == alphabet == copy.deepcopy(codec).half().tokens.alphabet
    other = copy.deepcopy(codec)
    with torch.no_grad():
        next(iter(other.front.parameters())).add_(0.1)
    books = copy.deepcopy(codec)
    for entries in (value for name, value in books.quantizer.named_buffers() if name.endswith("entries")):
        entries[0, 0] += 1
    assert len({alphabet, other.tokens.alphabet, books.tokens.alphabet}) == 3
    with pytest.raises(SpecError) as refused:
        other.decode(codec.encode(Stream(codec.config.wave, torch.zeros(1, 1, 64), torch.tensor([64]))))
    assert alphabet in str(refused.value) and other.tokens.alphabet in str(refused.value)


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="make them equal"):
        CodecConfig(front=SeanetFrontConfig(net=SeanetConfig(dim=16))).build()
    with pytest.raises(ConfigError, match="mel front"):
        tiny_codec("seanet").encode_mel_step(torch.zeros(1, 4, 4), None)


def test_a_codec_of_the_first_form_still_loads():
    codec = tiny_codec()
    tree = configs.dump(codec.config)
    front, back = tree["front"], tree["back"]
    earlier = {
        "class": tree["class"],
        "alphabet": "vivavoce_mini_codec",
        "mel": front["mel"],
        "stride": front["stride"],
    }
    earlier |= {"encode_fine": front["fine"], "encode_coarse": front["coarse"]}
    earlier |= {"decode_coarse": back["coarse"], "decode_fine": back["fine"]}
    earlier |= {"books": 3, "size": 16, "code_dim": 4, "teacher_dim": 0}
    assert configs.load(earlier) == codec.config
    with pytest.raises(ConfigError, match="neither of this version nor"):
        configs.load(earlier | {"colour": 3})
    names = {"front.coarse": "encode_coarse", "front.fine": "encode_fine", "front.norm": "encoded"}
    names |= {"back.coarse": "decode_coarse", "back.fine": "decode_fine", "back.norm": "decoded"}
    names |= {"back.enter": "decode_enter", "back.head": "head", "back.up": "up"}
    names |= {"front.enter": "enter", "front.down": "down"}
    state = {}
    for key, value in codec.state_dict().items():
        layer = ".".join(key.split(".")[:2])
        state[key.replace(layer, names.get(layer, layer), 1)] = value
    again = codec.config.build()
    again.load_state_dict(state)
    assert again.tokens == codec.tokens
