"""What the shipped listener takes for a sign of listening or a cough, and what it does not."""

from pathlib import Path

import numpy as np
import torch

import vivavoce
from vivavoce.assistant.hearing import Ears
from vivavoce.audio.files import read_audio
from vivavoce.audio.resample import resample
from vivavoce.core.parts import load_part
from vivavoce.evals.scenes import cough, hum, level, trimmed
from vivavoce.models.listener import ListenerConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.runtime.model import RATE, Pcm

RECORDINGS = Path(vivavoce.__path__[0]) / "assistant" / "recordings"


def heard(ears: Ears, sound: Pcm) -> float | None:
    wave = np.concatenate((np.zeros(RATE // 4), sound, np.zeros(RATE // 10))).astype(np.float32)
    return ears.whole(resample(torch.from_numpy(wave)[None], RATE, 16_000)).backchannel


def test_hums_and_coughs_are_asides_and_the_beginning_of_an_order_is_not() -> None:
    ears, dice = vivavoce.load().ears, np.random.default_rng(5)
    for make in (hum, cough):
        chances = [heard(ears, level(make(dice))) for _ in range(10)]
        assert sum(chance > 0.5 for chance in chances) >= 9, (make, chances)
    for path in sorted(RECORDINGS.glob("*.ogg")):
        order = level(trimmed(read_audio(path, RATE)[0].numpy()))
        assert heard(ears, order[: RATE // 2]) < 0.5, path
        assert heard(ears, np.tile(order, 2)[: 2 * RATE]) == 0.0


def test_a_listener_without_that_head_leaves_it_to_the_words() -> None:
    tiny = ListenerConfig(trunk=ConformerConfig(dim=32, layers=1, heads=2)).build().eval()
    ears = Ears(tiny, load_part(vivavoce.load().folder, "words"))
    assert heard(ears, np.zeros(RATE // 4, np.float32)) is None
