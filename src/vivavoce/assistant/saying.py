"""A text in a voice, by whatever speaker is asked for: live ones and those that say whole sentences alike."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vivavoce.assistant.model import Model, load
from vivavoce.assistant.sentences import say_sentences, sentence_speaker, system_of
from vivavoce.assistant.timing import WordTiming
from vivavoce.audio.resample import resample
from vivavoce.core.errors import VoiceError
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Word
from vivavoce.core.voice import Voice
from vivavoce.runtime.model import RATE, FixedVoices, Pcm
from vivavoce.text.normalise import phrases

Sayer = Callable[[str, Voice, int], tuple[Pcm, Sequence[Word]]]
"""A text in a voice, with a seed: its sound at 24 kHz and its words."""


@dataclass(frozen=True, slots=True)
class Streamer:
    """The same piece by piece; words are placed from the beginning of the whole sound."""

    pieces: Callable[[str, Voice, int], Iterator[tuple[Pcm, Sequence[Word]]]]
    imitates: bool
    """Whether a voice may be somebody's clip."""

    def __call__(self, text: str, voice: Voice, seed: int) -> Iterator[tuple[Pcm, Sequence[Word]]]:
        """A text in a voice."""
        return self.pieces(text, voice, seed)


def whole(stream: Streamer) -> Sayer:
    """Waits for all pieces."""

    return lambda text, voice, seed: together(stream(text, voice, seed))


def together(pieces: Iterable[tuple[Pcm, Sequence[Word]]]) -> tuple[Pcm, Sequence[Word]]:
    """The sound and the words of all pieces."""
    all_pieces = list(pieces)
    return np.concatenate([pcm for pcm, _ in all_pieces]), [word for _, words in all_pieces for word in words]


def streamer(
    speaker: str,
    model: str | Path | None = None,
    *,
    prosody: Voice | None = None,
    scene: str = "",
    notify: Callable[[str], None] = lambda _: None,
) -> Streamer:
    """What says texts; ``notify`` is handed what a clip was heard to say. Errors are those of what is asked for.

    Speakers that talk live give pieces as they are made; those that say whole sentences give all at once.

    ``prosody`` is somebody whose pace and melody are taken. Raises VoiceError for that, or a scene, where the speaker
    does not take it, and for a clip of prosody as `Mouth.imitate` does.
    """
    by_sentence = system_of(speaker) is not None
    loaded = load(model or BUNDLED, speaker="" if by_sentence else speaker)
    timing = WordTiming(lambda: loaded.listener)
    sentence = sentence_speaker(Path(speaker)) if by_sentence else None

    def bundled() -> Model:
        return loaded if model is None else load(BUNDLED)

    def sentences(text: str, voice: Voice, seed: int) -> Iterator[tuple[Pcm, Sequence[Word]]]:
        assert sentence is not None
        if voice.clip and "clip" in sentence.takes:
            bundled().mouth.imitate(voice.clip)  # refuses noise and two people, whoever is to speak
        made = say_sentences(
            sentence, text, voice, hear=lambda clip: loaded.transcribe(clip).transcript, prosody=prosody,
            scene=scene, seed=seed,
        )  # fmt: skip
        if made.heard:
            notify(f"the clip was heard to say: {made.heard}")
        pcm = resample(made.wave[None].float(), made.sample_rate, RATE)[0].numpy()
        yield pcm, timing.words(pcm, [word for phrase in phrases(text) for word in phrase.words])

    def live(text: str, voice: Voice, seed: int) -> Iterator[tuple[Pcm, Sequence[Word]]]:
        for piece in loaded.spoken(text, voice=voice, seed=seed):
            yield piece.pcm, piece.words

    if sentence is not None:
        if prosody is not None and "prosody" in sentence.takes:
            bundled().mouth.check_prosody(prosody.clip)
        return Streamer(sentences, "clip" in sentence.takes)
    if scene:
        raise VoiceError("this speaker knows no scenes; give --speaker FOLDER with one that does")
    if prosody is not None:
        raise VoiceError("this speaker takes no clip's prosody; give --speaker FOLDER with one that does")
    return Streamer(live, not isinstance(loaded.speaking, FixedVoices))
