"""Speaking with a system that says whole sentences (`core.sentence`): which one it is, and what it is handed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce import systems
from vivavoce.audio.files import read_recording
from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.sentence import Sentence, SentenceSpeaker, Taken
from vivavoce.core.streams import sound
from vivavoce.core.voice import Voice
from vivavoce.text.normalise import phrases
from vivavoce.text.phrases import LONGEST
from vivavoce.text.tokenizers import PhoneTokenizer

_LONGEST_SECONDS = 10
_FLAGS: dict[Taken, str] = {"clip": "--like CLIP", "description": "--voice WORDS", "scene": "--scene WORDS"}


@dataclass(frozen=True, slots=True)
class Said:
    """Speech with its sample rate, and what the clip was heard to say."""

    wave: Float[Tensor, " N"]
    sample_rate: int
    heard: str


def system_of(folder: str | Path) -> Callable[[Path], SentenceSpeaker] | None:
    """What loads the speaker in a folder, by the name of one of its parts; None where there is none of this kind."""
    for file in sorted(Path(folder).glob("*.json")) if str(folder) else []:
        name = f"{systems.__name__}.{file.stem}"
        if file.stem.isidentifier() and find_spec(name) is not None:
            made: Callable[[Path], SentenceSpeaker] | None = getattr(import_module(name), "speaker", None)
            if made is not None:
                return made
    return None


def say_sentences(
    folder: Path,
    text: str,
    voice: Voice,
    *,
    hear: Callable[[Float[Tensor, " N"]], str],
    scene: str = "",
    seed: int = 0,
) -> Said:
    """A text, sentence by sentence; ``hear`` writes down what a clip says (24 kHz).

    Raises VoiceError for what this speaker does not take, for a clip without words and for a folder without such a
    speaker, TextError for a text in which nothing can be said, AudioError for a clip that cannot be read.
    """
    made = system_of(folder)
    if made is None:
        raise VoiceError(f"there is no speaker of whole sentences in {folder}; train one: vivavoce train --help")
    speaker = made(folder)
    given: dict[Taken, bool] = {"clip": bool(voice.clip), "description": bool(voice.description), "scene": bool(scene)}
    for kind, is_given in given.items():
        if is_given and kind not in speaker.takes:
            takes = " and ".join(_FLAGS[one] for one in _FLAGS if one in speaker.takes) or "nothing but a text"
            raise VoiceError(f"the speaker in {folder} does not take {_FLAGS[kind]}; give {takes}")
    rate, tokenizer = speaker.sample_rate, PhoneTokenizer()
    prompt, heard = None, ""
    if voice.clip:
        clip = read_recording(voice.clip, rate, name="the clip", first_seconds=_LONGEST_SECONDS).wave
        heard = hear(resample(clip, rate, 24_000))
        if not heard:
            raise VoiceError("no words can be made out in the clip; give one in which somebody says a sentence")
        prompt = sound(clip, rate)
    parts = [
        speaker.say(
            Sentence(
                text=sentence,
                phones=tokenizer.encode([sentence]),
                prompt=prompt,
                prompt_text=heard,
                prompt_phones=tokenizer.encode([heard]) if heard else None,
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
