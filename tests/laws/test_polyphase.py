"""The live resampler: it agrees with soxr, and chunked is whole."""

import torch

from vivavoce.audio.polyphase import RationalConfig
from vivavoce.audio.resample import resample


def test_it_agrees_with_soxr() -> None:
    time = torch.arange(24000) / 24000
    wave = sum(torch.sin(2 * torch.pi * f * time) for f in (200.0, 1310.0, 5200.0, 6900.0))[None] / 4
    converter = RationalConfig().build()
    ours = converter.step(wave, converter.init_state(1))[0]
    theirs = resample(wave, 24000, 16000)[0]
    scores = torch.stack([(ours[400 + lag : 12400 + lag] * theirs[400:12400]).sum() for lag in range(60)])
    lag = int(scores.argmax())
    error = ours[400 + lag : 12400 + lag] - theirs[400:12400]
    assert error.square().mean() < 1e-3 * theirs.square().mean()


def test_what_is_above_the_new_band_is_gone() -> None:
    time = torch.arange(24000) / 24000
    converter = RationalConfig().build()
    out = converter.step(torch.sin(2 * torch.pi * 10000 * time)[None], converter.init_state(1))[0]
    assert out[200:].abs().max() < 0.01


def test_chunked_is_whole_and_rows_are_alone() -> None:
    wave = torch.randn(2, 2880)
    converter = RationalConfig().build()
    whole = converter.step(wave, converter.init_state(2))
    state = converter.init_state(2)
    pieces = [converter.step(piece, state) for piece in wave.split([960, 3, 0, 957, 960], dim=1)]
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-6)
    paused = converter.init_state(2)
    converter.step(wave, paused, torch.tensor([True, False]))
    assert not paused.past[1].any() and paused.past[0].any()
