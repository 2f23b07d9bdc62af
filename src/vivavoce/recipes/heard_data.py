"""What people said, as a frozen encoder hears it: its frames are computed once, block by block, and kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vivavoce.core import rng
from vivavoce.core.errors import PartError
from vivavoce.core.parts import load_part
from vivavoce.core.progress import Log
from vivavoce.core.streams import sound
from vivavoce.data.aligned import levelled
from vivavoce.data.cache import Cache, Joined, digest
from vivavoce.data.manifest import Record, recordings
from vivavoce.evals.word_errors import plain
from vivavoce.models.encoder import PARTS
from vivavoce.models.unit_frames import UnitFrames
from vivavoce.recipes.units_data import learnt_encoder, made_by
from vivavoce.systems.salmonn import encode

BLOCK: Final = 500
"""Recordings that are lost at most when the computing is stopped."""
LEAST_TEXT: Final = 12
"""Letters: single words that many people say teach nothing about language."""
HELD: Final = 100
"""Held-out recordings that a run is measured on at most."""
_SHOWN: Final = 90
"""Letters at most of lines that are shown to a language model."""


def hearing(choice: Path) -> Any:
    """An encoder of sound: that of a folder with the part ``encoder``, of a run of ``train hubert``, ``wav2vec2`` or
    ``w2vbert``, or a published one (a folder, or ``hf:OWNER/NAME``); units, which are then all that is heard; or a
    Whisper of this machine by its name.

    PartError where there is none of them.
    """
    if (choice / "encoder.json").is_file():
        return load_part(choice, "encoder")
    if (choice / "units.json").is_file():
        return UnitFrames.of(load_part(choice, "units"))
    published = str(choice).startswith("hf:") or (choice / "model.safetensors").is_file()
    if published or any((choice / f"{part}.json").is_file() for part in PARTS):
        return learnt_encoder(choice)
    if choice.is_dir() and not (choice / "model.bin").is_file():
        raise PartError(
            f"{choice} has no encoder; give a run of hubert, wav2vec2 or w2vbert, units, a published encoder (a folder "
            "or hf:OWNER/NAME), or a Whisper by its name"
        )
    from vivavoce.hub.whisper_layer import whisper_layer

    return whisper_layer(str(choice), 1, fitted=True).build()


def said(speech: Path, split: str, longest: float, seed: int = 1, *, least_text: int = LEAST_TEXT) -> list[Record]:
    """English recordings with a text, of a second and more, in an order that mixes the sources."""
    clips = [
        clip
        for clip in recordings(speech, split, lang="en")
        if len(clip.text or "") >= least_text and 1.0 <= clip.seconds <= longest
    ]
    return [clips[place] for place in rng.stream(seed, "said", split).permutation(len(clips))]


def written(clip: Record) -> str:
    """What somebody said, as it is to be written down: words in lower case, as most texts of speech have them."""
    return " ".join(plain(clip.text or ""))


def shown_of(records: Sequence[Record], count: int) -> tuple[str, ...]:
    """So many short texts, of one source after the other: a language model goes on in their manner."""
    lines: dict[str, list[str]] = {}
    for record in records:
        if len(line := written(record)) <= _SHOWN:
            lines.setdefault(record.source, []).append(line)
    turns = zip_longest(*(lines[source] for source in sorted(lines)))
    return tuple(line for turn in turns for line in turn if line is not None)[:count]


def heard_frames(encoder: Any, clips: Sequence[Record], folder: Path, say: Log, filled: float = 0.0) -> Joined:
    """``features`` of every recording, [T, D], by an encoder of sound (`systems.salmonn.Hears`).

    ``filled``: seconds that recordings are filled up to with silence; 0: they are not.
    """
    rate, found = encoder.wave.sample_rate, []
    config = made_by(encoder) | {"aligned": False} | ({"filled": filled} if filled else {})

    def made(block: Sequence[Record]) -> Iterator[dict[str, np.ndarray]]:
        for clip in block:
            with torch.no_grad():
                wave = sound(levelled(clip, rate), rate)
                frames = encode(encoder, wave, filled or clip.seconds + 1, filled=bool(filled))
            yield {"features": frames[0].half().numpy()}

    for begin in range(0, len(clips), BLOCK):
        block = clips[begin : begin + BLOCK]
        files = [clip.file for clip in block]
        where = folder / digest(config, files)[:16]  # runs that choose others beside these share what they can
        found.append(Cache.of(where, config, files, partial(made, block)))
        say(f"frames of {begin + len(block)} of {len(clips)} recordings")
    return Joined(found)


def padded(frames: Joined, chosen: Sequence[int]) -> tuple[Float[Tensor, "B T D"], Int[Tensor, " B"]]:
    """The frames of some recordings, and how many each has."""
    rows = [torch.from_numpy(frames[n]["features"].astype(np.float32)) for n in chosen]
    return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


@dataclass(frozen=True)
class ByLength:
    """Batches of recordings of about one length, ``most`` (seconds, say) in each.

    Each goes through all recordings once before any comes again, in batches that are others every time.
    """

    lengths: np.ndarray
    most: float
    seed: int

    @property
    def count(self) -> int:
        """Batches in which every recording has been once."""
        return max(1, int(self.lengths.sum() // self.most))

    def __call__(self, step: int) -> list[int]:
        """The recordings of a step."""
        turn, place = divmod(step, self.count)
        draw = rng.stream(self.seed, "by length", turn)
        order = np.argsort(self.lengths * draw.uniform(0.85, 1.15, len(self.lengths)), kind="stable")
        share = self.lengths.sum() / self.count
        batch = np.minimum((np.cumsum(self.lengths[order]) - self.lengths[order] / 2) // share, self.count - 1)
        return order[batch == draw.permutation(self.count)[place]].tolist()
