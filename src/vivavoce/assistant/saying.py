"""A text in a voice, by whatever speaker is asked for: live ones and those that say whole sentences alike."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from vivavoce.assistant.model import load
from vivavoce.assistant.sentences import say_sentences, system_of
from vivavoce.assistant.timing import WordTiming
from vivavoce.audio.resample import resample
from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Word
from vivavoce.core.voice import Voice
from vivavoce.runtime.model import RATE, Pcm
from vivavoce.text.normalise import phrases

Sayer = Callable[[str, Voice, int], tuple[Pcm, Sequence[Word]]]
"""A text in a voice, with a seed: its sound at 24 kHz and its words."""


def sayer(
    speaker: str,
    model: str | Path | None = None,
    *,
    prosody: Voice | None = None,
    scene: str = "",
    notify: Callable[[str], None] = lambda _: None,
) -> Sayer:
    """What says texts; ``notify`` is handed what a clip was heard to say. Errors are those of what is asked for.

    ``prosody`` is somebody whose pace and melody are taken. Raises VoiceError for that, or a scene, where the speaker
    does not take it.
    """
    whole = system_of(speaker) is not None
    loaded = load(model or BUNDLED, speaker="" if whole else speaker)
    timing = WordTiming(lambda: loaded.listener)

    def sentences(text: str, voice: Voice, seed: int) -> tuple[Pcm, Sequence[Word]]:
        made = say_sentences(
            Path(speaker), text, voice, hear=lambda clip: loaded.transcribe(clip).transcript, prosody=prosody,
            scene=scene, seed=seed,
        )  # fmt: skip
        if made.heard:
            notify(f"the clip was heard to say: {made.heard}")
        pcm = resample(made.wave[None].float(), made.sample_rate, RATE)[0].numpy()
        return pcm, timing.words(pcm, [word for phrase in phrases(text) for word in phrase.words])

    def at_once(text: str, voice: Voice, seed: int) -> tuple[Pcm, Sequence[Word]]:
        if not text.strip():
            raise TextError("there is no text to say; give at least one word")
        pieces = list(loaded.spoken(text, voice=voice, seed=seed))
        sound = torch.cat([torch.from_numpy(piece.pcm) for piece in pieces]).numpy()
        return sound, [word for piece in pieces for word in piece.words]

    if whole:
        return sentences
    if scene:
        raise VoiceError("this speaker knows no scenes; give --speaker FOLDER with one that does")
    if prosody is not None:
        raise VoiceError("this speaker takes no clip's prosody; give --speaker FOLDER with one that does")
    return at_once
