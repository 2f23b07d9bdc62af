"""Log-mel frames: causal, with no empty filter, and a tone lies where it should."""

import math

import pytest
import torch

from vivavoce.audio.mel import FLOOR, LogMelConfig
from vivavoce.core.errors import ConfigError, SpecError

HEARING = LogMelConfig(sample_rate=16000, bins=80, hop=160, window=400, n_fft=512, fmax=8000.0)


@pytest.mark.parametrize("config", [LogMelConfig(), HEARING])
def test_every_filter_hears_something_and_a_tone_lands_in_the_right_one(config: LogMelConfig):
    mel = config.build()
    assert (mel.filters.sum(dim=1) > 0).all()
    hz = 1000.0
    wave = torch.sin(2 * math.pi * hz * torch.arange(config.sample_rate) / config.sample_rate)[None]
    frames = mel(wave)
    assert frames.shape == (1, config.bins, 100)
    loudest = int(frames[0, :, 50].argmax())
    centre = float(mel.filters[loudest].argmax()) * config.sample_rate / config.n_fft
    assert abs(centre - hz) < 60


def test_a_frame_sees_nothing_after_its_end():
    mel = LogMelConfig().build()
    wave = torch.randn(1, 2400)
    changed = wave.clone()
    changed[:, 1200:] = 0
    assert torch.equal(mel(wave)[:, :, :5], mel(changed)[:, :, :5])
    assert not torch.equal(mel(wave)[:, :, 5], mel(changed)[:, :, 5])


def test_silence_is_the_floor():
    assert torch.allclose(LogMelConfig().build()(torch.zeros(1, 960)), torch.tensor(math.log(FLOOR)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(SpecError, match="multiple of 240"):
        mel = LogMelConfig().build()
        mel.step(torch.zeros(1, 100), mel.init_state(1))
    with pytest.raises(ConfigError, match="hop <= window"):
        LogMelConfig(window=100).build()
    with pytest.raises(ConfigError):
        LogMelConfig(sample_rate=16000).build()
