"""The encoder's laws: chunked == whole, rows and what fills them up do not see each other, pauses change nothing."""

from dataclasses import replace

import pytest
import torch

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.encoder_layer import EncoderLayer
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.transformer import TransformerConfig

TRUNK = TransformerConfig(
    dim=32, layers=2, heads=2, kv_heads=2, hidden=48, window=20, norm="layer", gated=False, bias=True, rotary=False
)
WAVES = EncoderConfig(
    front=WaveFrontConfig(dim=16, norm="layer", causal=True),
    trunk=TRUNK,
    positions=ConvPositionsConfig(kernel=6, groups=2, causal=True),
    streams=True,
)
MELS = EncoderConfig(
    front=StridedMelFrontConfig(channels=4, dim=24),
    trunk=ConformerConfig(dim=32, layers=2, heads=2, kernel=5, chunk=4, window=12, positions="keys", left=6, right=2),
    streams=True,
)
BOTH = pytest.mark.parametrize("config", [WAVES, MELS], ids=["waves", "mels"])


def built(config: EncoderConfig) -> Encoder:
    torch.manual_seed(0)
    encoder = config.build().eval()
    for weight in encoder.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.3)
    return encoder


@BOTH
def test_chunked_is_whole(config: EncoderConfig) -> None:
    encoder = built(config)
    hop = encoder.timing.hop
    wave = 0.3 * torch.randn(2, hop * 12)
    with torch.no_grad():
        whole = encoder(wave).last
        state = encoder.init_state(2)
        for sizes in ([1] * 12, [3, 4, 5], [12]):
            state.reset()
            pieces = [encoder.step(piece, state) for piece in wave.split([hop * n for n in sizes], dim=1)]
            torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=1e-4)


@BOTH
def test_rows_and_pauses(config: EncoderConfig) -> None:
    encoder = built(config)
    hop = encoder.timing.hop
    wave = 0.3 * torch.randn(3, hop * 4)
    both, alone = encoder.init_state(3), encoder.init_state(1)
    with torch.no_grad():
        for number, piece in enumerate(wave.split(hop, dim=1)):
            kept = both.rows(slice(1, 2))
            active = torch.tensor([True, False, True]) if number == 2 else None
            made = encoder.step(piece, both, active)
            torch.testing.assert_close(made[2:], encoder.step(piece[2:], alone), atol=1e-5, rtol=1e-5)
            if active is not None:
                pairs = zip(kept.tensors(), both.rows(slice(1, 2)).tensors(), strict=True)
                assert all(torch.equal(now, then) for now, then in pairs)
        assert encoder.step(wave[:, :0], both).shape == (3, 0, 32)


@BOTH
def test_what_fills_a_row_up_is_not_heard(config: EncoderConfig) -> None:
    encoder = built(config)
    waves = 0.3 * torch.randn(2, 1, 9600)
    stream = Stream(Wave(sample_rate=16000), waves, torch.tensor([9600, 6400]))
    together, alone = encoder.encode(stream, 1), encoder.encode(sound(waves[1, 0, :6400], 16000), 1)
    assert torch.equal(together.data[1, :, : int(alone.lengths[0])], alone.data[0])
    assert together.spec == encoder.spec(1) == alone.spec != encoder.spec(2)
    assert float(together.spec.rate or 0) == 16000 / encoder.config.front.hop
    with torch.no_grad():  # the batched way agrees wherever there is sound
        batch = encoder(waves[:, 0], torch.tensor([9600, 6400])).layers[1]
    count = int(alone.lengths[0])
    torch.testing.assert_close(batch[1, :count], together.data[1, :, :count].T, atol=1e-4, rtol=1e-4)


def test_other_weights_are_another_alphabet() -> None:
    encoder = built(MELS)
    before = encoder.spec()
    assert built(MELS).spec() == before
    with torch.no_grad():
        encoder.trunk.blocks[0].out.weight[0, 0] += 1  # type: ignore[union-attr,index]
    assert encoder.spec() != before


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ConfigError, match="causal front cannot have norms"):
        WaveFrontConfig(causal=True).build()
    with pytest.raises(ConfigError, match="the trunk would"):
        replace(WAVES, trunk=replace(TRUNK, causal=False)).build()
    with pytest.raises(ConfigError, match="looks ahead"):
        built(replace(WAVES, streams=False)).init_state(1)
    with pytest.raises(ConfigError, match="layers of 32"):
        replace(WAVES, project=False).build()
    encoder = built(WAVES)
    with pytest.raises(SpecError, match="16000"):
        encoder.encode(sound(torch.zeros(9600), 24000))
    with pytest.raises(SpecError, match="less than one frame"):
        encoder.encode(sound(torch.zeros(1), 16000))
    with pytest.raises(SpecError, match="no layer 3"):
        encoder.encode(sound(torch.zeros(9600), 16000), 3)


def test_a_layer_is_a_front_of_units() -> None:
    """One vector per hop whatever the length; what streams is what the whole is."""
    whole = replace(WAVES, front=WaveFrontConfig(dim=16), trunk=replace(TRUNK, causal=False), streams=False)
    whole = replace(whole, positions=ConvPositionsConfig(kernel=6, groups=2))
    encoder = built(whole)
    front = EncoderLayer.of(encoder, 1)
    wave = 0.3 * torch.randn(2, 1, 320 * 20)
    with torch.no_grad():
        made = front(wave)
        assert made.shape == (2, 32, 20)
        torch.testing.assert_close(made[:, :, :19], encoder(wave[:, 0]).layers[1].transpose(1, 2))
        assert torch.equal(made[:, :, 19], made[:, :, 18])
        with pytest.raises(ConfigError, match="cannot be streamed"):
            front.init_state(1)
        for config in (MELS, WAVES):
            encoder = built(config)
            streaming = EncoderLayer.of(encoder, 1)
            made = streaming(wave[:, :, :5120])
            torch.testing.assert_close(made.transpose(1, 2), encoder(wave[:, 0, :5120]).layers[1])
            state = streaming.init_state(2)
            pieces = [streaming.step(piece, state) for piece in wave[:, :, :5120].split(streaming.timing.hop, dim=2)]
            torch.testing.assert_close(torch.cat(pieces, dim=2), made, atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="layers 1 to 2"):
        EncoderLayer.of(encoder, 3)
