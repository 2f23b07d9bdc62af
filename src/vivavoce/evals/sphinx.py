"""An outside recogniser as a yardstick: pocketsphinx, which brings its own English model along."""

import tempfile
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.loudness import at_level
from vivavoce.audio.pcm import to_int16
from vivavoce.audio.resample import resample
from vivavoce.core import rng

_RATE = 16_000


@final
class Sphinx:
    """Recognises words with a general language model, or with a JSGF grammar that lists all that can be said."""

    def __init__(self, grammar: str = "") -> None:
        """``grammar`` is the text of a JSGF file; without it the model's own 3-gram is used."""
        from pocketsphinx import Decoder

        options: dict[str, Any] = {"samprate": float(_RATE), "loglevel": "FATAL"}
        if not grammar:
            self._decoder = Decoder(**options)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "orders.jsgf"
            path.write_text(grammar)
            self._decoder = Decoder(lm=None, jsgf=str(path), **options)

    def words(self, wave: Float[Tensor, " N"], sample_rate: int) -> list[str]:
        """What it understands; nothing where the grammar does not fit."""
        sound = at_level(resample(wave, sample_rate, _RATE), _RATE)
        quiet = torch.zeros(_RATE // 5)
        sound = torch.cat([quiet, sound, quiet])
        # Machines leave silences of exact zeros, on which it fails; -70 dB of noise is what any microphone has.
        sound = sound + 3e-4 * torch.randn(len(sound), generator=rng.torch_stream(0, "microphone"))
        pcm = to_int16(sound.numpy()).tobytes()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return [word.partition("(")[0] for word in found.hypstr.split() if word[0] not in "<["] if found else []
