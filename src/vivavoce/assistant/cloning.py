"""Speaking with a speaker that is trained on tokens (`systems.valle`), in the voice of a clip."""

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.model import load
from vivavoce.audio.files import read_recording
from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.core.voice import Voice
from vivavoce.systems.valle import Valle
from vivavoce.text.tokenizers import PhoneTokenizer

_LONGEST_SECONDS = 10


def say_as(folder: Path, text: str, voice: Voice, *, seed: int = 0) -> tuple[Float[Tensor, " N"], int]:
    """Speech of a text and its sample rate, from the parts in ``folder``; what a clip says is written down first.

    Raises VoiceError for a voice in words and for a clip that is no speech, AudioError for one that cannot be read.
    """
    if voice.description:
        raise VoiceError(
            f"the speaker in {folder} imitates clips and does not know {voice.description!r}; give --like CLIP"
        )
    valle, tokenizer = Valle.load(folder), PhoneTokenizer()
    rate = valle.codec.config.sample_rate
    prompt, before = None, ""
    if voice.clip:
        clip = read_recording(voice.clip, rate, name="the clip", first_seconds=_LONGEST_SECONDS).wave
        before = load(BUNDLED).transcribe(resample(clip, rate, 24_000)).transcript
        if not before:
            raise VoiceError("no words can be made out in the clip; give one in which somebody says a sentence")
        prompt = sound(clip, rate)
    phones = tokenizer.encode([f"{before}. {text}" if before else text])
    return valle.speak(phones, prompt, seeds=[seed]).data[0, 0], rate
