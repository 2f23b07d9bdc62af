"""A vocoder of units: units without repeats are held for predicted times and become the tokens of a codec.

As CodeHiFiGAN with its duration predictor and its vector for the speaker (arXiv:2104.00355); the sound is made by a
codec that is there already. Units alone do not say how high a voice is at a moment: with a history, frames are written
one after the other and follow what was written before; without, all at once. The books of a frame come one after the
other (`models.lm.Depth`), since they depend on each other. Departs: codec tokens instead of a waveform.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Tokens
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.lm import Depth
from vivavoce.models.units import spread
from vivavoce.nn.transformer import TransformerConfig

Choose = Callable[[Float[Tensor, "N V"]], Int[Tensor, " N"]]
"""Takes an id per row by its scores."""


def likeliest(scores: Float[Tensor, "N V"]) -> Int[Tensor, " N"]:
    """The id with the highest score."""
    return scores.argmax(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryConfig:
    """What was written before: a causal trunk over frames, whose codes are embedded in ``width`` numbers.

    In training a ``blind`` part of the rows and an ``unseen`` part of the frames have none: the model learns to speak
    without as well, and not to trust it more than the units.
    """

    trunk: TransformerConfig
    width: int = 128
    blind: float = 0.15
    unseen: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVocoderConfig:
    """Durations of units, the codec's stream, a trunk over frames that looks both ways, and one over the books.

    ``speakers`` have a vector each; everybody else shares one. Without any there is none. ``usual`` is the speaker that
    it was taught last and speaks as where nobody is asked for.
    """

    durations: DurationsConfig
    codes: Tokens
    trunk: TransformerConfig
    depth: TransformerConfig
    history: HistoryConfig | None = None
    speakers: tuple[str, ...] = ()
    usual: str = ""

    def build(self) -> "UnitVocoder":
        """The module with fresh weights; ConfigError for streams without a clock or a history that looks ahead."""
        if self.codes.rate is None or self.durations.units.rate is None:
            raise ConfigError("a vocoder of units needs the clocks of units and codec")
        if self.history is not None and (self.history.trunk.dim != self.trunk.dim or not self.history.trunk.causal):
            raise ConfigError(f"a history is causal and as wide as the trunk ({self.trunk.dim}), got {self.history}")
        if self.durations.voices != len(self.speakers):
            raise ConfigError(
                f"durations of {self.durations.voices} voices do not fit {len(self.speakers)} speakers; make them equal"
            )
        return UnitVocoder(self)


@final
class UnitVocoder(nn.Module):
    """Units to a codec's tokens."""

    starts: Tensor

    def __init__(self, config: UnitVocoderConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        width, codes, history = config.trunk.dim, config.codes, config.history
        self.durations = config.durations.build()
        self.embed = nn.Embedding(config.durations.units.size, width)
        self.voices = nn.Embedding(1 + len(config.speakers), width) if config.speakers else None
        self.trunk = config.trunk.build()
        self.depth = Depth(config.depth, width, (codes.size,) * codes.books)
        self.history = None if history is None else history.trunk.build()
        if history is not None:
            self.written = nn.Parameter(torch.randn(codes.books * codes.size, history.width) * 0.02)
            self.into = nn.Linear(history.width, width)
            self.nothing = nn.Parameter(torch.zeros(history.width))
        starts = torch.arange(0, codes.books * codes.size, codes.size)
        self.register_buffer("starts", starts, persistent=False)

    def voice_of(self, speaker: str) -> int:
        """The number of a speaker, 0 for everybody without a vector. SpecError for a name that is not known."""
        if speaker and speaker not in self.config.speakers:
            known = ", ".join(self.config.speakers) or "none"
            raise SpecError(f"this vocoder has no voice {speaker!r}; it has {known}")
        return 1 + self.config.speakers.index(speaker) if speaker else 0

    def placed(
        self, units: Int[Tensor, "B F"], frames: int, lengths: Int[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B T"]:
        """Units on their own clock as frames of the codec's; each row's last one is held."""
        last = torch.full((len(units),), units.shape[1]) if lengths is None else lengths
        rates = self.config.durations.units.rate, self.config.codes.rate
        assert rates[0] is not None and rates[1] is not None
        middle = (torch.arange(frames, device=units.device) + 0.5) * float(rates[0] / rates[1])
        chosen = torch.minimum(middle.long(), last[:, None].to(units.device) - 1).clamp(min=0)
        return units.gather(1, chosen)

    def hidden(
        self, units: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], voices: Int[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """A vector per frame of the codec, from units that are placed on its clock."""
        valid = torch.arange(units.shape[1], device=units.device) < lengths[:, None]
        x = self.embed(units)
        if self.voices is not None:
            x = x + self.voices(torch.zeros_like(lengths) if voices is None else voices)[:, None]
        return self.trunk(x, valid)

    def forward(
        self,
        units: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        codes: Int[Tensor, "B K T"],
        voices: Int[Tensor, " B"] | None = None,
    ) -> list[Float[Tensor, "B T V"]]:
        """Scores of every book, each seeing the true ids of those before it and, with a history, of frames before."""
        hidden = self.hidden(units, lengths, voices)
        if self.history is not None:
            hidden = self.history(hidden + self._before(codes))
        before = codes[:, :-1].transpose(1, 2)
        found = self.depth(hidden.flatten(0, 1), before.flatten(0, 1))
        return [book.float().unflatten(0, hidden.shape[:2]) for book in found]

    def _before(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B T D"]:
        """What each frame knows of the one before it; in training some know nothing."""
        assert self.config.history is not None
        known = F.embedding(codes + self.starts[:, None], self.written).sum(1)
        nothing = self.nothing.to(known.dtype)
        if self.training:
            rows = torch.rand(len(codes), 1, device=codes.device) < self.config.history.blind
            frames = torch.rand(len(codes), codes.shape[2], device=codes.device) < self.config.history.unseen
            known = torch.where((rows | frames)[..., None], nothing, known)
        return self.into(torch.cat((nothing.expand(len(codes), 1, -1), known[:, :-1]), dim=1))

    def timed(self, units: Stream[Tokens], speaker: str = "") -> Stream[Tokens]:
        """Units without repeats, held as long as a speaker would: what `render` takes. SpecError for units of another
        alphabet, or a speaker that is not known."""
        held = self.durations.predict(units, self.voice_of(speaker))
        return spread(held, self.config.durations.units.rate)

    @torch.no_grad()
    def render(
        self,
        units: Stream[Tokens],
        *,
        speaker: str = "",
        choose: Choose = likeliest,
        history: bool = True,
        more: int = 0,
    ) -> Stream[Tokens]:
        """Units with their repeats, on their clock, to codes. SpecError as for `timed`.

        ``more`` frames follow the last unit: as many as the codec's sound lags behind, or it would be cut off. Without
        ``history`` no frame knows those before it.
        """
        units = units.expect(self.config.durations.units)
        rates = self.config.durations.units.rate, self.config.codes.rate
        assert rates[0] is not None and rates[1] is not None
        lengths = torch.tensor([-(-int(n) * rates[1] // rates[0]) + (more if n else 0) for n in units.lengths])
        frames = int(lengths.max()) if len(lengths) else 0
        codes = torch.zeros(len(lengths), self.config.codes.books, frames, dtype=torch.long)
        if frames:
            voices = torch.full_like(lengths, self.voice_of(speaker))
            hidden = self.hidden(self.placed(units.data[:, 0], frames, units.lengths), lengths, voices)
            if self.history is None:
                codes = self._books(hidden.flatten(0, 1), choose).unflatten(0, (-1, frames)).transpose(1, 2)
            elif not history:
                nothing = self.into(self.nothing).expand_as(hidden)
                known = self.history(hidden + nothing).flatten(0, 1)
                codes = self._books(known, choose).unflatten(0, (-1, frames)).transpose(1, 2)
            else:
                state, last = self.history.init_state(len(codes), frames), self.nothing.expand(len(codes), -1)
                for frame in range(frames):
                    known = self.history.step(hidden[:, frame, None] + self.into(last)[:, None], state)
                    codes[:, :, frame] = self._books(known[:, 0], choose)
                    last = F.embedding(codes[:, :, frame] + self.starts, self.written).sum(1)
        return Stream(self.config.codes, codes, lengths)

    def _books(self, hidden: Float[Tensor, "N D"], choose: Choose) -> Int[Tensor, "N K"]:
        """All books of frames, one after the other."""
        made = torch.zeros(len(hidden), 0, dtype=torch.long)
        for _ in range(self.config.codes.books):
            made = torch.cat((made, choose(self.depth(hidden, made)[-1])[:, None]), dim=1)
        return made
