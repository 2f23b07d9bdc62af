"""Recordings with the frames that each of their phones takes on a codec's clock, their melody and their codes.

What acoustic models with durations learn from. Made once, in a folder that knows what it was made of; a recording whose
phones cannot be told stays away and is named.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.pitch import track_pitch
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ManifestError, VivavoceError
from vivavoce.data.aligned import LEAST_RATIO, forms_of, mel_of, spans_of
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.models.listener import MEL, Listener
from vivavoce.nn.align import Span
from vivavoce.text.phones import PHONE_IDS, SIL

_PAUSE = PHONE_IDS[SIL]
_FORM = 1
_MIDDLE_HZ = 150.0
"""The melody of sound in which nobody speaks."""


class TimedPhones(NamedTuple):
    """Phones, a pause first and last, and the frames of each; they may be none on a slow clock."""

    phones: Int[Tensor, " P"]
    frames: Int[Tensor, " P"]


def timed(spans: Sequence[Span], frames: int, rate: Fraction) -> TimedPhones:
    """Spans of mel frames on another clock, on which the recording has so many frames; these are all given away."""
    phones, ends = [span.phone for span in spans], [span.end for span in spans]
    if phones[0] != _PAUSE:
        phones, ends = [_PAUSE, *phones], [0, *ends]
    if phones[-1] != _PAUSE:
        phones, ends = [*phones, _PAUSE], [*ends, ends[-1]]
    marks = [min(frames, round(end * rate / MEL.rate)) for end in ends[:-1]]
    return TimedPhones(torch.tensor(phones), torch.tensor([0, *marks, frames]).diff())


def timed_as(
    listener: Listener, wave: Float[Tensor, " N"], phones: Int[Tensor, " P"], frames: int, rate: Fraction
) -> TimedPhones:
    """Where these phones are in a recording at 16 kHz that says them; pauses between them may or may not be made.

    Raises SpecError for more phones than there is time for.
    """
    words = [[list(word)] for pause, word in groupby(phones.tolist(), lambda phone: phone == _PAUSE) if not pause]
    return timed(spans_of(listener, mel_of(wave), words)[0], frames, rate)


def melody(wave: Float[Tensor, " N"], sample_rate: int, frames: int, rate: Fraction) -> Float[Tensor, " T"]:
    """Pitch of each frame in Hz, where there is none on a line between those beside it."""
    each = 1 / float(rate)
    hz = track_pitch(wave, sample_rate, hop_seconds=each, centre_seconds=each / 2).hz.numpy()[:frames]
    there = np.flatnonzero(hz)
    if not len(there):
        return torch.full((frames,), _MIDDLE_HZ)
    return torch.from_numpy(np.exp2(np.interp(np.arange(frames), there, np.log2(hz[there]))).astype(np.float32))


@dataclass(frozen=True, slots=True)
class TimedUtterance:
    """One recording; ``voice`` is that of a codec which tells it apart, else of no numbers."""

    phones: Int[Tensor, " P"]
    frames: Int[Tensor, " P"]
    pitch: Float[Tensor, " T"]
    codes: Int[Tensor, "K T"]
    voice: Float[Tensor, " D"]


Coded = tuple[Int[Tensor, "K T"], Float[Tensor, " D"]]
"""Codes of a recording, and its voice."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What batches are drawn by."""

    seconds: float
    speaker: str


@final
class TimedCorpus:
    """Timed recordings by number; ManifestError where no recording is left."""

    def __init__(self, folder: Path, clips: Sequence[Record], cache: Cache) -> None:
        """``cache`` has an item for each of the clips."""
        self.folder, self._cache = folder, cache
        self._kept = [number for number in range(len(cache)) if len(cache[number]["phones"])]
        self.utterances = tuple(Listed(clips[number].seconds, clips[number].speaker) for number in self._kept)
        if not self._kept:
            raise ManifestError(
                "the phones of no recording could be told; give recordings of speech whose manifest has their texts"
            )

    def __len__(self) -> int:
        """Recordings."""
        return len(self._kept)

    @property
    def buckets(self) -> int:
        """Of like lengths, for batches: fewer where there are few recordings, so that a batch has several."""
        return max(1, min(8, len(self) // 16))

    def __getitem__(self, index: int) -> TimedUtterance:
        """One recording."""
        item = {name: torch.from_numpy(np.array(value)) for name, value in self._cache[self._kept[index]].items()}
        return TimedUtterance(
            item["phones"].long(), item["frames"].long(), item["pitch"], item["codes"].long().T, item["voice"]
        )

    @staticmethod
    def of(
        clips: Sequence[Record],
        folder: Path,
        listener: Listener,
        made_by: str,
        rates: tuple[int, Fraction],
        books: int,
        encode: Callable[[Float[Tensor, " N"]], Coded],
        say: Callable[[str], None] = print,
    ) -> "TimedCorpus":
        """Found in ``folder`` or made there; ``made_by`` names listener and codec, of which another makes it anew.

        ``rates`` are the codec's: samples a second, which ``encode`` gets, and frames a second; so many are its
        ``books``.
        """
        rate, ticks = rates

        def one(clip: Record) -> dict[str, np.ndarray]:
            codes, voice = torch.zeros(books, 0), torch.zeros(0)
            found, pitch = TimedPhones(torch.zeros(0), torch.zeros(0)), torch.zeros(0)
            try:
                if not clip.text:
                    raise ManifestError("its text is not known")
                wave = read_audio(clip.file, rate, allow_silent=True)[0]
                spans, score = spans_of(listener, mel_of(resample(wave, rate, MEL.sample_rate)), forms_of(clip.text))
                if score > LEAST_RATIO:
                    codes, voice = encode(wave)
                    found = timed(spans, codes.shape[1], ticks)
                    pitch = melody(wave, rate, codes.shape[1], ticks)
                else:
                    say(f"{clip.id} is left out: it does not say its text")
            except VivavoceError as error:
                say(f"{clip.id} is left out: {error}")
            return {
                "phones": found.phones.numpy().astype(np.uint8), "frames": found.frames.numpy().astype(np.uint16),
                "pitch": pitch.numpy(), "codes": codes.T.numpy().astype(np.uint16), "voice": voice.numpy(),
            }  # fmt: skip

        def make() -> Iterator[dict[str, np.ndarray]]:
            for number, clip in enumerate(clips):
                yield one(clip)
                if (number + 1) % 200 == 0:
                    say(f"timed {number + 1} of {len(clips)} recordings")

        about = {"form": _FORM, "made_by": made_by, "texts": [clip.text or "" for clip in clips]}
        return TimedCorpus(folder, clips, Cache.of(folder, about, [clip.file for clip in clips], make))
