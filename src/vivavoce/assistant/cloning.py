"""Speaking with a speaker that is trained on tokens (`systems.valle`), in the voice of a clip."""

import io
from pathlib import Path

import soundfile
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.model import BUNDLED, load
from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.streams import sound
from vivavoce.core.voice import Voice
from vivavoce.systems.valle import Valle
from vivavoce.text.tokens import PhoneTokenizer

_LONGEST_SECONDS = 10


def say_as(folder: Path, text: str, voice: Voice, *, seed: int = 0) -> tuple[Float[Tensor, " N"], int]:
    """Speech of a text and its sample rate, from the parts in ``folder``; what a clip says is written down first.

    Raises VoiceError for a voice in words and for a clip that is no speech.
    """
    if voice.description:
        raise VoiceError(
            f"the speaker in {folder} imitates clips and does not know {voice.description!r}; give --like CLIP"
        )
    valle, tokenizer = Valle.load(folder), PhoneTokenizer()
    rate = valle.codec.config.sample_rate
    prompt, before = None, ""
    if voice.clip:
        clip = _opened(voice.clip, rate)
        before = load(BUNDLED).transcribe(resample(clip, rate, 24_000)).transcript
        if not before:
            raise VoiceError("no words can be made out in the clip; give one in which somebody says a sentence")
        prompt = sound(clip, rate)
    phones = tokenizer.encode([f"{before}. {text}" if before else text])
    return valle.speak(phones, prompt, seeds=[seed]).data[0, 0], rate


def _opened(clip: bytes, rate: int) -> Float[Tensor, " N"]:
    try:
        wave, native = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise VoiceError(
            f"the clip is not audio that can be read ({error.error_string.rstrip('.')}); give WAV, FLAC or Ogg"
        ) from error
    return resample(torch.from_numpy(wave.mean(1)), native, rate)[: _LONGEST_SECONDS * rate]
