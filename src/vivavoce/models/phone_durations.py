"""How long phones last, one after the other: each is told the lengths before it (Mega-TTS 2, arXiv:2307.07218 §3.3).

So a prompt's lengths, standing first, set somebody's pace for what follows. Lengths are numbers, not classes; without
``follows`` all are guessed at once (Mega-TTS 1).
"""

from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig

_CENTRE: Final = 1.8
"""Of the logarithm of 1 + frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneDurationsConfig:
    """``inputs`` numbers are known of each phone; predicted lengths are 1 to ``most`` frames."""

    inputs: int
    trunk: TransformerConfig
    follows: bool = True
    most: int = 128

    def build(self) -> "PhoneDurations":
        """The module; ConfigError where the trunk looks the wrong way."""
        if self.trunk.causal != self.follows:
            raise ConfigError(f"lengths that follow each other need a causal trunk, others one that is not: {self}")
        return PhoneDurations(self)


@final
class PhoneDurations(nn.Module):
    """Vectors of phones to the logarithm of 1 + frames."""

    def __init__(self, config: PhoneDurationsConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.enter = nn.Linear(config.inputs, config.trunk.dim)
        self.before = nn.Linear(2, config.trunk.dim) if config.follows else None
        self.trunk = config.trunk.build()
        self.out = nn.Linear(config.trunk.dim, 1)

    def forward(
        self, phones: Float[Tensor, "B P D"], frames: Int[Tensor, "B P"], there: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B P"]:
        """Guesses where the true lengths before each phone are known."""
        x = self.enter(phones)
        if self.before is not None:
            x = x + self.before(self._lengths_before(frames))
            return self._guess(self.trunk(x))
        return self._guess(self.trunk(x, there))

    def loss(
        self, phones: Float[Tensor, "B P D"], frames: Int[Tensor, "B P"], there: Bool[Tensor, "B P"]
    ) -> Float[Tensor, ""]:
        """Mean absolute distance of logarithms."""
        distance = (self(phones, frames, there) - torch.log1p(frames.float())).abs()
        return (distance * there).sum() / there.sum().clamp(min=1)

    @torch.no_grad()
    def predict(self, phones: Float[Tensor, "1 P D"], known: Int[Tensor, " K"]) -> Int[Tensor, " Q"]:
        """Lengths of the phones behind the first, whose lengths are known; each is told those before it, as guessed."""
        begin, count = len(known), phones.shape[1]
        if self.before is None:
            there = torch.ones(1, count, dtype=torch.bool, device=phones.device)
            return self._frames(self(phones, torch.zeros(1, count, dtype=torch.long), there)[0, begin:])
        frames = torch.cat((known, known.new_zeros(count - begin)))
        x, state = self.enter(phones), self.trunk.init_state(1)
        first = 0
        for place in range(begin, count):
            earlier = self._lengths_before(frames[None])[:, first : place + 1]
            y = self.trunk.step(x[:, first : place + 1] + self.before(earlier), state)
            frames[place] = self._frames(self._guess(y)[0, -1])
            first = place + 1
        return frames[begin:]

    def _lengths_before(self, frames: Int[Tensor, "B P"]) -> Float[Tensor, "B P 2"]:
        """The length before each phone, and whether there is one."""
        before = nn.functional.pad(torch.log1p(frames.float()) - _CENTRE, (1, 0))[:, :-1]
        return torch.stack((before, nn.functional.pad(torch.ones_like(before), (1, 0))[:, :-1]), dim=2)

    def _guess(self, y: Float[Tensor, "B P D"]) -> Float[Tensor, "B P"]:
        return self.out(y)[..., 0] + _CENTRE

    def _frames(self, guess: Float[Tensor, "*P"]) -> Int[Tensor, "*P"]:
        return torch.expm1(guess).round().clamp(1, self.config.most).long()
