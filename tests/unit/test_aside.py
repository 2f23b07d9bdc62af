"""What is said to us and what is only a sign of listening: by phones, and by whether the lips are closed."""

import numpy as np
import torch

from vivavoce.assistant.aside import Choice, aside, closed, evidence
from vivavoce.evals.scenes import hum
from vivavoce.runtime.model import Word
from vivavoce.text.phones import PHONE_IDS, ids
from vivavoce.text.pronounce import pronunciations

RATE = 16_000


def heard(text: str) -> torch.Tensor:
    """Distributions of a listener that hears every phone of a text clearly, with blanks between them."""
    phones = [phone for word in text.split() for phone in ids(pronunciations(word)[0])]
    frames = torch.full((3 * len(phones) + 4, max(PHONE_IDS.values()) + 1), 0.01)
    frames[:, 0] = 1.0
    for place, phone in enumerate(phones):
        frames[3 * place + 2, phone] = 20.0
    return (frames / frames.sum(dim=1, keepdim=True)).log()


def test_the_list_that_a_sound_comes_from_fits_it_better():
    choice = Choice()
    for sign, other in (("okay", "stop"), ("yeah", "wait"), ("i see", "hold on")):
        assert choice.fits(heard(sign))[0] > 5 > -5 > choice.fits(heard(other))[0]
    assert choice.fits(heard("okay"))[1] > choice.fits(heard("seven hundred soldiers"))[1]


def test_a_hum_is_closed_and_a_hiss_is_not():
    dice = np.random.default_rng(0)
    hiss = dice.standard_normal(RATE // 2).astype(np.float32)
    hums = [torch.from_numpy(hum(dice)[::3].copy()) for _ in range(10)]
    assert np.median([closed(wave, RATE // 2) for wave in hums]) < -12
    assert closed(torch.from_numpy(hiss), RATE) > 0
    assert closed(torch.zeros(RATE), RATE) == closed(torch.zeros(10), RATE) == -30


def test_an_urgent_word_is_meant_for_us_and_an_okay_is_not():
    choice, silence = Choice(), torch.zeros(RATE // 2)
    spoken = {text: (Word(text, 0, 9600, 0.9),) for text in ("okay", "stop")}
    chances = {
        text: aside(evidence(choice, heard(text), silence + 0.1 * torch.randn(RATE // 2), RATE, words))
        for text, words in spoken.items()
    }
    assert chances["stop"] < 0.4 < chances["okay"]
