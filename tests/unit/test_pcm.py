"""Samples of 16 bit and floats: one scale, and every sample comes back as itself."""

import numpy as np
import soundfile

from vivavoce.audio.pcm import to_float, to_int16


def test_every_sample_comes_back_and_what_is_beyond_clips() -> None:
    samples = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(to_float(samples)), samples)
    assert to_int16(np.array([-2.0, 1.0, 2.0], np.float32)).tolist() == [-32768, 32767, 32767]
    assert to_int16(np.array([1.6, -1.6], np.float32) / 32768).tolist() == [2, -2]  # the nearest, not the lower


def test_it_is_the_scale_of_other_programs(tmp_path) -> None:
    samples = np.array([-32768, -1, 0, 1, 12345, 32767], np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="PCM_16")
    assert np.array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], to_float(samples))
