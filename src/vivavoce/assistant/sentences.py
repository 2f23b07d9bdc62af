"""Speaking with a system that says whole sentences (`core.sentence`): which one it is, and what it is handed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce import hub, systems
from vivavoce.audio.files import read_recording
from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.sentence import Sentence, SentenceSpeaker, Taken
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.core.voice import Voice
from vivavoce.text.normalise import phrases
from vivavoce.text.phrases import LONGEST
from vivavoce.text.tokenizers import PhoneTokenizer

_LONGEST_SECONDS = 10
_FLAGS: dict[Taken, str] = {
    "clip": "--like CLIP", "prosody": "--prosody-like CLIP", "description": "--voice WORDS", "scene": "--scene WORDS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """Speech with its sample rate, and what the clip was heard to say."""

    wave: Float[Tensor, " N"]
    sample_rate: int
    heard: str


def system_of(folder: str | Path) -> Callable[[Path], SentenceSpeaker] | None:
    """What loads the speaker in a folder, by the name of one of its parts; None where there is none of this kind."""
    for file in sorted(Path(folder).glob("*.json")) if str(folder) else []:
        for package in (systems, hub):
            name = f"{package.__name__}.{file.stem}"
            if file.stem.isidentifier() and find_spec(name) is not None:
                made: Callable[[Path], SentenceSpeaker] | None = getattr(import_module(name), "speaker", None)
                if made is not None:
                    return made
    return None


def sentence_speaker(folder: Path) -> SentenceSpeaker:
    """The speaker of whole sentences in a folder, loaded. VoiceError where there is none."""
    made = system_of(folder)
    if made is None:
        raise VoiceError(f"there is no speaker of whole sentences in {folder}; train one: vivavoce train --help")
    return made(folder)


def say_sentences(
    speaker: SentenceSpeaker,
    text: str,
    voice: Voice,
    *,
    hear: Callable[[Float[Tensor, " N"]], str],
    prosody: Voice | None = None,
    scene: str = "",
    seed: int = 0,
) -> Said:
    """A text, sentence by sentence; ``hear`` writes down what a clip says (24 kHz).

    ``prosody`` is somebody whose pace and melody are taken, and not the voice.

    Raises VoiceError for what this speaker does not take and for a clip without words, TextError for a text in which
    nothing can be said, AudioError for a clip that cannot be read.
    """
    given: dict[Taken, bool] = {
        "clip": bool(voice.clip), "prosody": prosody is not None, "description": bool(voice.description),
        "scene": bool(scene),
    }  # fmt: skip
    for kind, is_given in given.items():
        if is_given and kind not in speaker.takes:
            takes = " and ".join(_FLAGS[one] for one in _FLAGS if one in speaker.takes) or "nothing but a text"
            raise VoiceError(f"this speaker does not take {_FLAGS[kind]}; give {takes}")
    rate, tokenizer = speaker.sample_rate, PhoneTokenizer()

    def opened(clip: bytes, name: str) -> tuple[Stream[Wave], str]:
        """A clip at the speaker's rate, and what it says."""
        wave = read_recording(clip, rate, name=name, first_seconds=_LONGEST_SECONDS).wave
        words = hear(resample(wave, rate, 24_000))
        if not words:
            raise VoiceError(f"no words can be made out in {name}; give one in which somebody says a sentence")
        return sound(wave, rate), words

    prompt, heard = opened(voice.clip, "the clip") if voice.clip else (None, "")
    manner, said = (None, "") if prosody is None else opened(prosody.clip, "the clip of the prosody")
    parts = [
        speaker.say(
            Sentence(
                text=sentence,
                phones=tokenizer.encode([sentence]),
                prompt=prompt,
                prompt_text=heard,
                prompt_phones=tokenizer.encode([heard]) if heard else None,
                prosody=manner,
                prosody_phones=tokenizer.encode([said]) if said else None,
                description=voice.description,
                scene=scene,
                seed=seed,
            )
        ).data[0, 0]
        for sentence in sentences(text)
    ]
    return Said(torch.cat(parts), rate, heard)


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, a long one in the parts between its breaths; TextError as `text.normalise.phrases`."""
    begin = end = 0
    worded = False
    for phrase in phrases(text):
        if phrase.end - begin > LONGEST and worded:
            yield text[begin:end].strip()
            begin, worded = end, False
        end, worded = phrase.end, worded or bool(phrase.words)
        if phrase.ends_sentence and worded:
            yield text[begin:end].strip()
            begin, worded = end, False
    if worded:
        yield text[begin:end].strip()
