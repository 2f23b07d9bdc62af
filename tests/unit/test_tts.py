"""Parts of the measurement of speakers that can be known beforehand."""

import numpy as np
import pytest
import torch

from vivavoce.evals.tts import failure, frechet

SOUND = torch.full((1000,), 0.1)
SAID = "the bus to the station leaves every ten minutes".split()


@pytest.mark.parametrize(
    ("heard", "wanted"),
    [
        (SAID, ""),
        (["a", *SAID[1:]], ""),
        (SAID[:-2], "a cut ending"),
        ([*SAID[:2], *SAID[5:]], "words skipped"),
        ([*SAID[:4], *SAID[:4], *SAID], "words repeated"),
    ],
)
def test_failures_are_told(heard: list[str], wanted: str) -> None:
    assert failure(SAID, heard, SOUND) == wanted


def test_silence_is_a_failure_whatever_is_heard() -> None:
    assert failure(SAID, SAID, torch.zeros(1000)) == "silence" == failure(SAID, SAID, torch.zeros(0))


def test_frechet_s_distance_of_known_gaussians() -> None:
    draw = np.random.default_rng(0)
    one = draw.normal(size=(20000, 3))
    other = draw.normal(size=(20000, 3)) * [1, 2, 1] + [3, 0, 0]
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet(one, other) == pytest.approx(9 + (2 - 1) ** 2, rel=0.05)  # means 3 apart, one deviation twice
    assert frechet(one, other) == pytest.approx(frechet(other, one))
