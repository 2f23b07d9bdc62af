"""What Mega-TTS learns from: mel frames and timed phones of recordings, and who speaks in which of them."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from vivavoce.audio.files import read_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ManifestError, VivavoceError
from vivavoce.data.aligned import LEAST_RATIO, forms_of, mel_of, spans_of
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.data.timed import timed
from vivavoce.models.listener import MEL, Listener
from vivavoce.nn.multi_reference import References
from vivavoce.systems.megatts import TimedSpeech
from vivavoce.train.tasks.megatts import MegaBatch


@dataclass(frozen=True, slots=True)
class Item:
    """A recording: mel frames, phones (a pause first and last) and their frames."""

    mel: Float[Tensor, "M T"]
    phones: Int[Tensor, " P"]
    frames: Int[Tensor, " P"]


def prepared(
    clips: Sequence[Record], mel: LogMelConfig, listener: Listener, made_by: str, folder: Path,
    say: Callable[[str], None] = print,
) -> Cache:  # fmt: skip
    """Frames and timed phones of recordings, made once; without phones where these cannot be told."""
    front = mel.build()

    def one(clip: Record) -> dict[str, np.ndarray]:
        drawn = torch.zeros(mel.bins, 0)
        phones = frames = torch.zeros(0, dtype=torch.long)
        try:
            wave = read_audio(clip.file, mel.sample_rate, allow_silent=True)[0]
            low = mel_of(resample(wave[None], mel.sample_rate, MEL.sample_rate)[0])
            spans, score = spans_of(listener, low, forms_of(clip.text or ""))
            if score > LEAST_RATIO:
                drawn = front(wave[None])[0]
                phones, frames = timed(spans, drawn.shape[1], mel.rate)
            else:
                say(f"{clip.id} is left out: it does not say its text")
        except VivavoceError as error:
            say(f"{clip.id} is left out: {error}")
        return {
            "mel": drawn.T.numpy().astype(np.float16), "phones": phones.numpy().astype(np.uint8),
            "frames": frames.numpy().astype(np.uint16),
        }  # fmt: skip

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, clip in enumerate(clips):
            yield one(clip)
            if (number + 1) % 200 == 0:
                say(f"prepared {number + 1} of {len(clips)} recordings")

    about = {"form": 1, "mel": dump(mel), "made_by": made_by, "texts": [clip.text or "" for clip in clips]}
    return Cache.of(folder, about, [clip.file for clip in clips], make)


@final
class MegaData:
    """Batches as functions of the step; whoever has a single recording is left out, as nothing else tells their voice.

    Raises ManifestError where nobody is left.
    """

    def __init__(self, clips: Sequence[Record], cache: Cache, *, batch: int, references: int, seed: int) -> None:
        """``cache`` has an item for each of the clips; ``references`` of a speaker are given at most."""
        self._cache, self._batch, self._most, self._seed = cache, batch, references, seed
        known: defaultdict[str, list[int]] = defaultdict(list)
        for number, clip in enumerate(clips):
            if len(cache[number]["phones"]):
                known[clip.speaker].append(number)
        self.speakers = {who: numbers for who, numbers in known.items() if len(numbers) > 1}
        if not self.speakers:
            raise ManifestError(
                "nobody is heard in two recordings, and a voice is learnt from others than the one that is drawn; "
                "give recordings with texts, several of each speaker"
            )
        self._who = [(who, number) for who, numbers in self.speakers.items() for number in numbers]

    def item(self, number: int) -> Item:
        """One recording."""
        found = {name: torch.from_numpy(np.array(value)) for name, value in self._cache[number].items()}
        return Item(found["mel"].float().T, found["phones"].long(), found["frames"].long())

    def drawn(self, step: int) -> list[tuple[int, list[int]]]:
        """Of every row the recording and its references, none of which is it."""
        draw = rng.stream(self._seed, "utterances", step)
        rows = []
        for place in draw.integers(len(self._who), size=self._batch):
            who, number = self._who[int(place)]
            others = [other for other in self.speakers[who] if other != number]
            count = int(draw.integers(1, min(self._most, len(others)) + 1))
            rows.append((number, [others[int(i)] for i in draw.permutation(len(others))[:count]]))
        return rows

    def joined(self, step: int, sentences: int) -> list[tuple[list[int], list[int]]]:
        """Of every row several recordings of one speaker in a row, and references, which may be among them."""
        draw = rng.stream(self._seed, "sentences", step)
        names = list(self.speakers)
        rows = []
        for place in draw.integers(len(names), size=self._batch):
            own = self.speakers[names[int(place)]]
            order = [own[int(i)] for i in draw.permutation(len(own))]
            count = int(draw.integers(1, min(sentences, len(own)) + 1))
            rows.append((order[:count], order[: min(self._most, len(order))]))
        return rows

    def utterances(self, step: int) -> MegaBatch:
        """Single utterances."""
        return self._made(self.drawn(step))

    def conversations(self, step: int, sentences: int) -> MegaBatch:
        """Rows of up to so many sentences."""
        rows = self.joined(step, sentences)
        each = [(number, others) for numbers, others in rows for number in numbers]
        return replace(self._made(each), rows=tuple(len(numbers) for numbers, _ in rows))

    def _made(self, rows: Sequence[tuple[int, list[int]]]) -> MegaBatch:
        said = [self.item(number) for number, _ in rows]
        voices = [[self.item(number).mel for number in others] for _, others in rows]
        count, size = max(map(len, voices)), max(one.shape[1] for row in voices for one in row)
        bins = said[0].mel.shape[0]
        mel, lengths = torch.zeros(len(rows), count, bins, size), torch.zeros(len(rows), count, dtype=torch.long)
        for row, some in enumerate(voices):
            for place, one in enumerate(some):
                mel[row, place, :, : one.shape[1]], lengths[row, place] = one, one.shape[1]
        phones = [one.phones for one in said]
        counts = torch.tensor([len(one) for one in phones])
        most = max(one.mel.shape[1] for one in said)
        spoken = TimedSpeech(
            torch.stack([pad(one.mel, (0, most - one.mel.shape[1])) for one in said]),
            pad_sequence(phones, batch_first=True), pad_sequence([one.frames for one in said], batch_first=True),
            torch.arange(int(counts.max())) < counts[:, None],
        )  # fmt: skip
        return MegaBatch(spoken, References(mel, lengths))
