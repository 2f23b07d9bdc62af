"""Vocoders: lengths, the inverse head beside torch's spectra, norms that follow a style, the recipe in miniature."""

from math import pi
from pathlib import Path

import pytest
import torch

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.streams import Latents, whole
from vivavoce.models.vocoder import HifiganConfig, IstftnetConfig, VocoderConfig, VocosConfig
from vivavoce.nn.adain import AdainBlock, InstanceNorm
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.hifigan import InverseHead, UpsamplerConfig
from vivavoce.recipes.vocoder import debug

MEL = LogMelConfig(bins=8, hop=30, window=120, n_fft=128)
UP = UpsamplerConfig(inputs=8, channels=8, strides=(5, 3), kernels=(10, 6), block_kernels=(3,), dilations=(1, 2))
NETS = (
    HifiganConfig(up=UpsamplerConfig(inputs=8, channels=8, strides=(5, 3, 2), kernels=(10, 6, 4), block_kernels=(3,))),
    IstftnetConfig(up=UP, window=8, last_hop=2),
    VocosConfig(inputs=8, trunk=ConvNeXtConfig(dim=16, depth=1), window=120, hop=30),
)


@pytest.mark.parametrize("net", NETS)
def test_every_generator_makes_a_hop_of_every_frame(net: HifiganConfig | IstftnetConfig | VocosConfig) -> None:
    vocoder = VocoderConfig(mel=MEL, net=net).build().eval()
    wave = torch.randn(2, 13 * 30)
    said = vocoder.speak(whole(vocoder.config.frames, vocoder.mel(wave)))
    assert said.data.shape == (2, 1, 13 * 30) and said.lengths.tolist() == [390, 390]
    with pytest.raises(SpecError, match="mel-"):
        vocoder.speak(whole(Latents(name="mel", alphabet="mel-else", dim=8, rate=MEL.rate), torch.zeros(1, 8, 4)))


def test_a_generator_of_another_hop_is_refused() -> None:
    with pytest.raises(ConfigError, match="makes 15 samples of a frame"):
        VocoderConfig(mel=MEL, net=HifiganConfig(up=UP)).build()
    with pytest.raises(ConfigError, match="style and excitation are given"):
        UP.build()(torch.zeros(1, 8, 3), torch.zeros(1, 4))


def test_the_inverse_head_inverts_torch_s_spectra() -> None:
    head = InverseHead(22, 20, 5)
    wave = 0.5 * torch.randn(1, 5 * 40)
    spectra = torch.stft(wave, 20, 5, window=torch.hann_window(20), return_complex=True)
    level, phase = spectra.abs().clamp(min=1e-7).log(), (spectra.angle().clamp(-pi, pi) / pi).clamp(-1, 1).asin()
    given = torch.cat((level, phase), dim=1)[:, :, 1:]  # the head doubles the second column in front, as padding
    with torch.no_grad():
        head.out.weight.zero_()
        head.out.weight[:, :, 3] = torch.eye(22)
        head.out.bias.zero_()
        made = head(torch.where(given < 0, given / 0.01, given))  # undoes the leaky ReLU
    assert made.shape == wave.shape
    assert (made - wave)[:, 20:].abs().max() < 1e-4


def test_a_style_of_nothing_is_the_plain_norm_and_padding_counts_for_nothing() -> None:
    norm, x = InstanceNorm(6, 4), torch.randn(2, 6, 9)
    with torch.no_grad():
        norm.film.map.weight.zero_()
    made = norm(x, torch.randn(2, 4))
    assert torch.allclose(made, torch.nn.functional.instance_norm(x), atol=1e-5)
    mask = (torch.arange(9) < torch.tensor([9, 5])[:, None])[:, None].float()
    for times in (1, 2):
        block = AdainBlock(6, 3, 4, times=times).eval()
        style = torch.randn(2, 4)
        together = block(x * mask + 100 * (1 - mask), style, mask)
        alone = block(x[1:, :, :5], style[1:])
        assert torch.allclose(together[1:, :, : 5 * times], alone, atol=1e-5), times
        assert not together[1, :, 5 * times :].any()


def test_styles_change_scale_and_shift_of_every_channel() -> None:
    norm, x = InstanceNorm(6, 4), torch.randn(1, 6, 50)
    style = torch.randn(1, 4)
    made, (scale, shift) = norm(x, style), norm.film.map(style)[0].chunk(2)
    assert torch.allclose(made.mean(2)[0], shift, atol=1e-5)
    assert torch.allclose(made.std(2, unbiased=False)[0], (1 + scale).abs(), atol=1e-3)


@pytest.mark.slow
def test_the_recipe_learns_and_its_part_is_whole(tmp_path: Path) -> None:
    found = debug(tmp_path)
    assert found["after"] < 0.8 * found["before"], found
    vocoder = load_part(tmp_path, "vocoder")
    assert vocoder(torch.randn(1, 20, 7)).shape == (1, 2100) and not torch.equal(vocoder.mean, torch.full((20,), -5.0))
