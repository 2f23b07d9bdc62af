"""The sound of a scene from words, alone or under a recording of speech."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.core.errors import TextError
from vivavoce.systems.audioldm import AudioLdm


def scene(
    folder: Path,
    words: str,
    *,
    under: Path | None = None,
    snr_db: float = 12.0,
    like: Path | None = None,
    strength: float = 0.5,
    guidance: float = 2.5,
    steps: int = 100,
    candidates: int = 3,
    seed: int = 0,
) -> tuple[Float[Tensor, " N"], int]:
    """A sound and its rate, by the AudioLDM in a folder; TextError for no words, AudioError for files without sound."""
    if not words.strip():
        raise TextError('what should be heard is missing; say it in words, for example "rain on a roof"')
    maker = AudioLdm.load(folder)
    config = maker.model.config.sound
    rate = config.mel.sample_rate
    given = None if like is None else _fitted(read_audio(like, rate)[0], config.samples)[None]
    speech = None if under is None else read_audio(under, rate)[0]
    made = maker.make(
        [words], seeds=[seed], guidance=guidance, steps=steps, candidates=candidates, of=given, strength=strength
    ).data[0, 0]
    return (made if speech is None else beneath(speech, made, snr_db)), rate


def beneath(speech: Float[Tensor, " N"], sound: Float[Tensor, " M"], snr_db: float) -> Float[Tensor, " N"]:
    """Speech over a sound, which is repeated as long as it lasts, so many decibels below it; scaled where it clips."""
    bed = _fitted(sound, len(speech))
    size = speech.square().mean().sqrt() / bed.square().mean().sqrt().clamp(min=1e-8) * 10 ** (-snr_db / 20)
    mixed = speech + bed * size
    return mixed / mixed.abs().max().clamp(min=1.0)


def _fitted(wave: Float[Tensor, " N"], samples: int) -> Float[Tensor, " M"]:
    """Cut, or repeated."""
    return wave.repeat(-(-samples // max(len(wave), 1)))[:samples]
