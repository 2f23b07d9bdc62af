"""What tokens are measured on: people reading, with phones as our aligner finds them, and flite, which tells its own.

Everything is at 16 kHz and at one level. Phones are kept on disk, since aligning takes longer than all else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.loudness import at_level
from vivavoce.data.aligned import LEVEL_DB, labels_of, levelled, phones_of
from vivavoce.data.cache import Cache
from vivavoce.data.choosing import lasting, ranked
from vivavoce.data.manifest import recordings
from vivavoce.data.synthesis import Reading, speak
from vivavoce.models.listener import Listener
from vivavoce.text.phones import PHONE_IDS, SIL

RATE = 16_000
LABEL_RATE = 50
"""Labels per second."""
VOICES = ("awb", "kal16", "rms", "slt")


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """A recording, the phone of every 20 ms, and the phones in their order."""

    id: str
    speaker: str
    source: str
    text: str
    wave: Float[Tensor, " N"]
    labels: np.ndarray
    phones: tuple[int, ...]

    def stretches(self) -> Iterator[tuple[int, tuple[int, int], int, int]]:
        """Phones that are not silence, the ones before and behind them, and their first and last label."""
        edges = np.flatnonzero(np.diff(self.labels, prepend=255, append=255))
        for before, begin, end in zip([None, *edges[:-2]], edges[:-1], edges[1:], strict=True):
            phone = int(self.labels[begin])
            if phone:
                behind = int(self.labels[end]) if end < len(self.labels) else 0
                yield phone, (0 if before is None else int(self.labels[before]), behind), int(begin), int(end)


def people(
    speech: Path,
    split: str,
    seconds: float,
    aligner: Listener,
    kept: Path,
    say: Callable[[str], None],
    *,
    source: str = "",
) -> list[Said]:
    """English recordings of a split that have a text, so many seconds of them; the same ones every time."""
    chosen = lasting(
        ranked(recordings(speech, split, lang="en", seconds=(1.0, 16.0), text=True, source=source)), seconds
    )

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, clip in enumerate(chosen):
            yield phones_of(aligner, clip, say)
            if (number + 1) % 100 == 0:
                say(f"aligned {number + 1} of {len(chosen)} {split} recordings")

    cache = Cache.of(kept / f"{split}-{source or 'all'}", {"split": split}, [clip.file for clip in chosen], make)
    found = []
    for number, clip in enumerate(chosen):
        item = cache[number]
        if len(item["phones"]):
            wave = levelled(clip, RATE)
            phones = tuple(int(phone) for phone in item["phones"])
            found.append(Said(clip.id, clip.speaker, clip.source, clip.text or "", wave, item["labels"], phones))
    return found


CONTRASTS = (
    "beat bit bait bet bat boot boat bought but bite",
    "bat cat fat hat mat pat rat sat chat vat",
    "dine fine line mine nine pine shine sign vine wine",
    "bill dill fill hill kill mill pill till will chill",
)
"""Words that differ in one phone; sentences drawn at random hold hardly a phone twice between the same neighbours."""


def contrasts() -> list[str]:
    """Each row of `CONTRASTS` as a sentence in two orders: every phone in question twice in one context, and apart."""
    rows = [row.split() for row in CONTRASTS]
    return [" and ".join(f"say {word}" for word in order) for row in rows for order in (row, row[::-1])]


def machines(texts: Sequence[str], voices: Sequence[str] = VOICES) -> list[Said]:
    """The same texts read by each of flite's voices, with the times that it tells."""
    wanted = [
        Reading(text=text, engine="flite", voice=voice, rate=1.0, pitch=1.0) for voice in voices for text in texts
    ]
    found = []
    for number, one in enumerate(speak(wanted)):
        wave = at_level(torch.from_numpy(one.wave).float(), RATE, LEVEL_DB)
        timed = [(PHONE_IDS[p.phone.symbol], p.start, p.end) for p in one.phones or ()]
        labels = labels_of(timed, len(wave) // 160).numpy()
        phones = tuple(phone for phone, _, _ in timed if phone != PHONE_IDS[SIL])
        reading = one.reading
        found.append(Said(f"flite-{number}", reading.voice, "flite", reading.text, wave, labels, phones))
    return found
