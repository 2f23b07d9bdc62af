"""What StyleTTS learns from: recordings with their phones, pitch and sound, and other frames of the same speaker."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vivavoce.audio.files import read_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.pcm import to_float
from vivavoce.audio.pitch import track_pitch
from vivavoce.core import rng
from vivavoce.core.errors import TextError, TrainingError
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record, recordings
from vivavoce.recipes.codec_data import LEAST_RATE, waves
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train.tasks.styletts import StyleBatch

_HERTZ = 100.0
"""In which pitch is counted."""


def heights(clips: Sequence[Record], mel: LogMelConfig, folder: Path) -> Cache:
    """The pitch of every mel frame of the clips, 0 where there is none; made once."""
    hop, centre = 1 / float(mel.rate), (mel.hop - mel.window / 2) / mel.sample_rate

    def make() -> Iterator[dict[str, np.ndarray]]:
        for clip in clips:
            wave = read_audio(clip.file, mel.sample_rate, allow_silent=True)[0]
            found = track_pitch(wave, mel.sample_rate, hop_seconds=hop, centre_seconds=centre)
            yield {"hz": found.hz.numpy()}

    about = {"hop": mel.hop, "window": mel.window, "sample_rate": mel.sample_rate}
    return Cache.of(folder / "pitch", about, [clip.file for clip in clips], make)


@final
class StyleBatches:
    """Batches as a function of the step."""

    def __init__(
        self, speech: Path, folder: Path, mel: LogMelConfig, *, batch: int, reference: int, seconds: float, seed: int,
        unseen: Sequence[str] = (), say: Callable[[str], None] = print,
    ) -> None:  # fmt: skip
        """Recordings with texts that are no longer than ``seconds``; ``reference`` frames of a speaker beside each.

        ``unseen`` are texts that nobody read, of which every batch gets some. Recordings whose texts cannot be read, or
        which have fewer frames than phones, are left out and named. TrainingError where nothing is left.
        """
        clips = recordings(speech, "train", least_rate=LEAST_RATE, text=True, seconds=(0.3, seconds))
        self.sound = waves(clips, mel.sample_rate, folder, workers=os.cpu_count() or 1)
        self.pitch = heights(clips, mel, folder)
        self.mel, self.front, self.batch, self.reference, self.seed = mel, mel.build(), batch, reference, seed
        self.phones: dict[int, Tensor] = {}
        tokenizer, self.of = PhoneTokenizer(), defaultdict[str, list[int]](list)
        lengths = self.sound.lengths("wave")
        for number, clip in enumerate(clips):
            try:
                phones = tokenizer.encode([clip.text or ""]).data[0, 0]
            except TextError as error:
                say(f"{clip.id} is left out: {error}")
                continue
            if len(phones) > (frames := int(lengths[number]) // (2 * mel.hop)):
                say(f"{clip.id} is left out: {len(phones)} phones in {frames} frames")
                continue
            self.phones[number] = phones
            self.of[clip.speaker].append(number)
        self.unseen = [tokenizer.encode([text]).data[0, 0] for text in unseen]
        self.who = {number: speaker for speaker, many in self.of.items() for number in many}
        self.order = sorted(self.phones)
        if not self.order:
            raise TrainingError(f"{speech} has no recordings of at most {seconds:g} s with texts; give others")

    def __call__(self, step: int) -> StyleBatch:
        """The batch of a step."""
        draw = rng.stream(self.seed, "styletts", step)
        numbers = [int(n) for n in draw.choice(self.order, self.batch, replace=len(self.order) < self.batch)]
        hop = self.mel.hop
        sounds = [self._wave(number) for number in numbers]
        frames = torch.tensor([len(wave) // hop for wave in sounds])
        wave = pad_sequence(sounds, batch_first=True)
        pitch = torch.zeros(len(numbers), int(frames.max()))
        for row, number in enumerate(numbers):
            hz = torch.tensor(self.pitch[number]["hz"])[: int(frames[row])]
            pitch[row, : len(hz)] = hz / _HERTZ
        others = []
        for number in numbers:
            same = [other for other in self.of[self.who[number]] if other != number] or [number]
            other = self._wave(int(draw.choice(same)))
            size = self.reference * hop
            begin = hop * int(draw.integers(max(0, len(other) - size) // hop + 1))
            others.append(torch.from_numpy(np.resize(other[begin : begin + size].numpy(), size)))
        phones = [self.phones[number] for number in numbers]
        texts = [self.unseen[int(n)] for n in draw.integers(len(self.unseen), size=self.batch)] if self.unseen else None
        return StyleBatch(
            *_padded(phones),
            mel=self.front(wave),
            pitch=pitch,
            frames=frames,
            wave=wave,
            reference=self.front(torch.stack(others)),
            seconds=float(frames.sum()) / float(self.mel.rate),
            unseen=None if texts is None else _padded(texts),
        )

    def _wave(self, number: int) -> Float[Tensor, " N"]:
        wave = torch.from_numpy(to_float(self.sound[number]["wave"]))
        return wave[: len(wave) // (2 * self.mel.hop) * 2 * self.mel.hop]


def _padded(rows: Sequence[Int[Tensor, " _"]]) -> tuple[Int[Tensor, "B P"], Int[Tensor, " B"]]:
    return pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows])
