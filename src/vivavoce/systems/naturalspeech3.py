"""NaturalSpeech 3: how long, how, what and the rest, written one after the other (Ju 2024, arXiv:2403.03100 §4).

A FACodec tells speech apart into prosody, content, detail and a voice (`systems.facodec`). Durations of the phones and
then the codes of each factor are written by masked generation, each after what was written before it and after a prompt
of its own, which stands unmasked at the beginning. So prosody may come from one clip and the voice from another.
Departs: gated feed-forward nets; the time of the masks is told by the norms; the prompt's phones are found by a
listener.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core import rng
from vivavoce.core.errors import VoiceError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt
from vivavoce.data.timed import timed_as
from vivavoce.generate.diffusion import guided, rescaled
from vivavoce.generate.masked import Unmasking, unmask
from vivavoce.models.factors import FACTORS, FactorModels
from vivavoce.models.listener import MEL, Listener
from vivavoce.models.masked import MaskedLM
from vivavoce.models.predictors import held
from vivavoce.systems.facodec import Facodec


class FactoredClip(NamedTuple):
    """A clip: its phones and their frames, the codes of all factors, the voice."""

    phones: Int[Tensor, "1 P"]
    frames: Int[Tensor, "1 P"]
    codes: Int[Tensor, "1 K M"]
    voice: Float[Tensor, "1 D"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorWriting:
    """How tokens are written: ``first`` the first book of a factor, and durations; ``later`` the books after it.

    ``guidance`` moves scores away from those without the prompt; ``rescale`` of their spread is brought back.
    """

    first: Unmasking = Unmasking(steps=10)
    later: Unmasking = Unmasking(steps=4)
    guidance: float = 1.0
    rescale: float = 1.0


_WRITING: Final = FactorWriting()


@final
class Naturalspeech3:
    """Speaks like a clip, or with the prosody of one and the voice of another."""

    takes: frozenset[Taken] = frozenset({"clip", "prosody"})

    def __init__(self, model: FactorModels, codec: Facodec, listener: Listener) -> None:
        """``listener`` finds the phones of clips. SpecError when the codec is not the one whose codes were learnt."""
        check_learnt(model.config.codes, codec.tokens)
        self.model, self.codec, self.listener = model.eval(), codec, listener
        self.sample_rate: int = codec.config.sample_rate

    @staticmethod
    def load(folder: Path) -> "Naturalspeech3":
        """From the parts ``naturalspeech3`` and ``codec`` in a folder, with the bundled listener."""
        parts = load_part(folder, "naturalspeech3"), load_part(folder, "codec"), load_part(BUNDLED, "listener")
        return Naturalspeech3(*parts)

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One sentence; VoiceError without a clip."""
        if sentence.prompt is None or sentence.prompt_phones is None:
            raise VoiceError("this speaker has no voice of its own and speaks like a clip; give --like CLIP")
        like, prosody = self.hear(sentence.prompt, sentence.prompt_phones), None
        if sentence.prosody is not None and sentence.prosody_phones is not None:
            prosody = self.hear(sentence.prosody, sentence.prosody_phones)
        return self.speak(sentence.phones, like, prosody, seed=sentence.seed)

    def hear(self, clip: Stream[Wave], phones: Stream[Tokens]) -> FactoredClip:
        """A clip of one row that says these phones; SpecError for one that is too short to say them."""
        said = self.codec.encode(clip)
        wave = resample(clip.data[0, 0], clip.spec.sample_rate, MEL.sample_rate)
        row = phones.expect(self.model.config.phones).data[0, 0, : int(phones.lengths[0])]
        found = timed_as(self.listener, wave, row, said.codes.data.shape[2], self.codec.config.rate)
        return FactoredClip(found.phones[None], found.frames[None], said.codes.data, said.voice)

    def speak(
        self,
        phones: Stream[Tokens],
        like: FactoredClip,
        prosody: FactoredClip | None = None,
        *,
        writing: FactorWriting = _WRITING,
        seed: int = 0,
    ) -> Stream[Wave]:
        """One row of phones with the content, detail and voice of ``like``, and the pace and prosody of ``prosody``.

        Without one these are those of ``like`` too. SpecError for phones of another alphabet.
        """
        codes = self.write(phones, like, prosody, writing=writing, seed=seed)
        sound = self.codec.say(codes, like.voice)
        return Stream(self.codec.config.wave, sound, torch.tensor([sound.shape[2]]))

    @torch.inference_mode()
    def write(
        self,
        phones: Stream[Tokens],
        like: FactoredClip,
        prosody: FactoredClip | None = None,
        *,
        writing: FactorWriting = _WRITING,
        seed: int = 0,
    ) -> Int[Tensor, "1 K T"]:
        """The codes of all factors."""
        model, pace = self.model, prosody or like
        row = phones.expect(model.config.phones).data[:, 0, 1 : int(phones.lengths[0])]  # after the clip's last pause
        draws = _draws(seed)
        most = model.config.longest
        given = pace.frames.clamp(max=most)[:, None]
        blank = torch.zeros(1, 1, row.shape[1], dtype=torch.long)
        frames = self._written(model.durations, 0, blank, given, self._read(pace.phones, row), writing, next(draws))
        frames = frames if int(frames.sum()) else frames + 1
        codes = torch.zeros(1, model.config.codes.books, int(frames.sum()), dtype=torch.long)
        for factor in FACTORS:
            prompt = pace if factor == "prosody" else like
            read = self._read(prompt.phones, row)
            inputs = held(read, torch.cat((prompt.frames, frames), dim=1))
            generator: Any = model.factors[factor]
            books = model.config.written(factor)
            for book in books:
                there = slice(0, books.stop)
                codes[:, book] = self._written(
                    generator, book, codes[:, there], prompt.codes[:, there], inputs, writing, next(draws)
                )
        return codes

    def _read(self, before: Int[Tensor, "1 P"], row: Int[Tensor, "1 P2"]) -> Float[Tensor, "1 P3 D"]:
        """Phones of a clip and of a sentence."""
        both = torch.cat((before, row), dim=1)
        return self.model.read(both, torch.ones_like(both, dtype=torch.bool))

    def _written(
        self,
        generator: MaskedLM,
        book: int,
        codes: Int[Tensor, "1 K T"],
        prompt: Int[Tensor, "1 K M"],
        inputs: Float[Tensor, "1 S D"],
        writing: FactorWriting,
        draw: torch.Generator,
    ) -> Int[Tensor, "1 T"]:
        """One book after a prompt."""
        known, total = prompt.shape[2], codes.shape[2]
        level = torch.tensor([book])

        def passed(ids: Tensor, hidden: Tensor, time: float, before: int) -> Tensor:
            now = codes.clone()
            now[:, book] = ids
            now = torch.cat((prompt[:, :, known - before :], now), dim=2)
            shut = torch.nn.functional.pad(hidden, (before, 0))
            counts = torch.tensor([before]), torch.tensor([before + total])
            made = generator(now, shut, level, torch.tensor([time]), counts[0], inputs[:, known - before :], counts[1])
            return made[:, before:]

        def score(ids: Tensor, hidden: Tensor, time: float) -> Tensor:
            given = passed(ids, hidden, time, known)
            if not writing.guidance:
                return given
            moved = guided(given, passed(ids, hidden, time, 0), 1 + writing.guidance)
            return rescaled(moved, given, writing.rescale)

        how = writing.first if book == generator.config.first else writing.later
        free = torch.ones(1, total, dtype=torch.bool)
        return unmask(score, codes[:, book], free, how, [draw])


def _draws(seed: int) -> Iterator[torch.Generator]:
    """One for each book that is written."""
    number = 0
    while True:
        yield rng.torch_stream(seed, "book", number)
        number += 1


speaker = Naturalspeech3.load
