"""HiFi-GAN's generator beside that of transformers with the same weights."""

import pytest
import torch

from vivavoce.audio.mel import LogMelConfig
from vivavoce.models.vocoder import HifiganConfig, VocoderConfig
from vivavoce.nn.hifigan import UpsamplerConfig


@pytest.mark.parametrize("normed", [True, False])
def test_hifigan_equals_transformers(normed: bool) -> None:
    transformers = pytest.importorskip("transformers")
    published = transformers.SpeechT5HifiGanConfig(
        model_in_dim=10, sampling_rate=16000, upsample_initial_channel=16, upsample_rates=[4, 3],
        upsample_kernel_sizes=[8, 7], resblock_kernel_sizes=[3, 5], resblock_dilation_sizes=[[1, 3], [1, 3]],
        normalize_before=normed,
    )  # fmt: skip
    theirs = transformers.SpeechT5HifiGan(published).eval()
    theirs.mean.normal_()
    theirs.scale.uniform_(0.5, 2.0)
    for parameter in theirs.parameters():
        parameter.data.normal_(std=0.2)
    up = UpsamplerConfig(inputs=10, channels=16, strides=(4, 3), kernels=(8, 7), block_kernels=(3, 5), dilations=(1, 3))
    mel = LogMelConfig(sample_rate=16000, bins=10, hop=12, window=48, n_fft=64, fmax=8000.0)
    ours = VocoderConfig(mel=mel, net=HifiganConfig(up=up)).build().eval()
    state = {}
    for key, value in theirs.state_dict().items():
        key = key.replace("conv_pre", "net.up.enter").replace("conv_post", "net.head.out")
        key = key.replace("upsampler.", "net.up.stages.").replace("convs1", "first").replace("convs2", "second")
        if key.startswith("resblocks."):
            _, number, rest = key.split(".", 2)
            key = f"net.up.blocks.{int(number) // 2}.{int(number) % 2}.{rest}"
        state[{"scale": "deviation"}.get(key, key)] = value
    ours.load_state_dict(state)
    if not normed:
        ours.mean.zero_()
        ours.deviation.fill_(1.0)
    frames = torch.randn(2, 10, 7)
    with torch.no_grad():
        assert (ours(frames) - theirs(frames.transpose(1, 2))).abs().max() < 1e-5
        assert ours(frames).abs().max() > 0.05
