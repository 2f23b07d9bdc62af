"""Pitch tracking: known tones, noise, silence, and where frames stand."""

import math

import pytest
import torch

from vivavoce.audio.pitch import track_pitch


def buzz(hz: float, seconds: float, rate: int) -> torch.Tensor:
    time = torch.arange(int(seconds * rate)) / rate
    return sum(torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 12)) * 0.1


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
@pytest.mark.parametrize("hz", [80.0, 123.0, 220.0, 410.0])
def test_finds_the_pitch_of_a_buzz(hz: float, rate: int) -> None:
    pitch = track_pitch(buzz(hz, 0.5, rate), rate)
    assert len(pitch.hz) == 50
    assert pitch.voiced.float().mean() > 0.9
    assert pitch.median() == pytest.approx(hz, rel=0.01)
    assert pitch.spread() < 0.02


def test_noise_and_silence_have_no_pitch() -> None:
    noise = torch.randn(24000, generator=torch.Generator().manual_seed(1)) * 0.1
    assert track_pitch(noise, 24000).voiced.float().mean() < 0.15
    assert not track_pitch(torch.zeros(2400), 24000).voiced.any()
    assert track_pitch(torch.zeros(0), 24000).hz.shape == (0,)


def test_voice_begins_where_the_sound_begins() -> None:
    wave = torch.cat((torch.zeros(12000), buzz(150, 0.5, 24000)))
    first = int(track_pitch(wave, 24000).voiced.nonzero()[0])
    assert 48 <= first <= 53
