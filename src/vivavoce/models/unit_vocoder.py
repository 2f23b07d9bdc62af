"""A vocoder of units: units without repeats are held for predicted times and become the tokens of a codec.

As CodeHiFiGAN with its duration predictor (arXiv:2104.00355), in one voice; the sound is made by a codec that is there
already. All frames at once; the books of a frame one after the other (`models.lm.Depth`), since they depend on each
other. Departs: codec tokens instead of a waveform.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import Stream, Tokens
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.lm import Depth
from vivavoce.models.units import spread
from vivavoce.nn.transformer import TransformerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitVocoderConfig:
    """Durations of units, the codec's stream, a trunk over frames that looks both ways, and one over the books."""

    durations: DurationsConfig
    codes: Tokens
    trunk: TransformerConfig
    depth: TransformerConfig

    def build(self) -> "UnitVocoder":
        """The module with fresh weights; ConfigError for streams without a clock."""
        if self.codes.rate is None or self.durations.units.rate is None:
            raise ConfigError("a vocoder of units needs the clocks of units and codec")
        return UnitVocoder(self)


@final
class UnitVocoder(nn.Module):
    """Units to a codec's tokens."""

    def __init__(self, config: UnitVocoderConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.durations = config.durations.build()
        self.embed = nn.Embedding(config.durations.units.size, config.trunk.dim)
        self.trunk = config.trunk.build()
        sizes = (config.codes.size,) * config.codes.books
        self.depth = Depth(config.depth, config.trunk.dim, sizes)

    def placed(self, units: Int[Tensor, "B F"], frames: int) -> Int[Tensor, "B T"]:
        """Units on their own clock as frames of the codec's."""
        rates = self.config.durations.units.rate, self.config.codes.rate
        assert rates[0] is not None and rates[1] is not None
        middle = (torch.arange(frames, device=units.device) + 0.5) * float(rates[0] / rates[1])
        return units[:, middle.long().clamp(max=units.shape[1] - 1)]

    def hidden(self, units: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T D"]:
        """A vector per frame of the codec, from units that are placed on its clock."""
        valid = torch.arange(units.shape[1], device=units.device) < lengths[:, None]
        return self.trunk(self.embed(units), valid)

    def forward(
        self, units: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], codes: Int[Tensor, "B K T"]
    ) -> list[Float[Tensor, "B T V"]]:
        """Scores of every book, each seeing the true ids of those before it."""
        hidden = self.hidden(units, lengths)
        before = codes[:, :-1].transpose(1, 2).flatten(0, 1)
        found = self.depth(hidden.flatten(0, 1), before)
        return [book.float().unflatten(0, hidden.shape[:2]) for book in found]

    @torch.no_grad()
    def speak(self, units: Stream[Tokens]) -> Stream[Tokens]:
        """Units without repeats to codes, the likeliest ids. SpecError for units of another alphabet."""
        held = spread(self.durations.predict(units), self.config.durations.units.rate)
        rates = self.config.durations.units.rate, self.config.codes.rate
        assert rates[0] is not None and rates[1] is not None
        lengths = torch.tensor([-(-int(length) * rates[1] // rates[0]) for length in held.lengths])
        frames = int(lengths.max()) if len(lengths) else 0
        codes = torch.zeros(len(lengths), self.config.codes.books, frames, dtype=torch.long)
        if frames:
            hidden = self.hidden(self.placed(held.data[:, 0], frames), lengths).flatten(0, 1)
            made = torch.zeros(len(hidden), 0, dtype=torch.long)
            for _ in range(codes.shape[1]):
                made = torch.cat((made, self.depth(hidden, made)[-1].argmax(-1)[:, None]), dim=1)
            codes = made.view(len(lengths), frames, -1).transpose(1, 2)
        return Stream(self.config.codes, codes, lengths)
