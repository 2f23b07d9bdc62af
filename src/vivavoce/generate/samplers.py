"""Samplers: how a token is chosen from scores. Pure: one uniform number per row, owned by whoever asks.

So a reply depends neither on the other rows of a batch nor on what was drawn elsewhere. The number picks a place on the
cumulative distribution of the tokens in the order of their ids.
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Sampler(Protocol):
    """Chooses one id per row; ``history`` holds the last ids of each row (-1 where there are fewer)."""

    def __call__(
        self, logits: Float[Tensor, "B V"], uniform: Float[Tensor, " B"], history: Int[Tensor, "B H"]
    ) -> Int[Tensor, " B"]:
        """The chosen ids."""
        ...


def _pick(chances: Float[Tensor, "B V"], uniform: Float[Tensor, " B"]) -> tuple[Int[Tensor, " B"], Float[Tensor, " B"]]:
    """The ids at these places of the distribution, and how far into its share each place is (uniform again)."""
    chances = chances.double()
    total = chances.cumsum(-1)
    place = uniform.double()[:, None] * total[:, -1:]
    # Not beyond the last id that can occur at all, whatever rounding does.
    ids = torch.minimum((total <= place).sum(-1), (chances > 0).long().cumsum(-1).argmax(-1))
    share = chances.gather(-1, ids[:, None])
    rest = (place - (total.gather(-1, ids[:, None]) - share)) / share
    return ids, rest[:, 0].clamp(0, 1).to(uniform.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Temperature, then the ``top_k`` likeliest (0: all), then the smallest set with mass ``top_p`` (arXiv:1904.09751).

    Temperature 0 takes the likeliest.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def chances(self, logits: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
        """The distribution that is drawn from."""
        logits = logits.float()
        if self.temperature <= 0:
            return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).float()
        chances = (logits / self.temperature).softmax(-1)
        order = torch.sort(chances, dim=-1, descending=True, stable=True)
        kept = order.values
        if 0 < self.top_k < kept.shape[-1]:
            kept = torch.where(torch.arange(kept.shape[-1], device=kept.device) < self.top_k, kept, 0.0)
            kept = kept / kept.sum(-1, keepdim=True)
        if self.top_p < 1:
            kept = torch.where(kept.cumsum(-1) - kept < self.top_p, kept, 0.0)
        return torch.zeros_like(chances).scatter(-1, order.indices, kept)

    def __call__(
        self, logits: Float[Tensor, "B V"], uniform: Float[Tensor, " B"], history: Int[Tensor, "B H"]
    ) -> Int[Tensor, " B"]:
        """The chosen ids; the history does not matter."""
        return _pick(self.chances(logits), uniform)[0]


GREEDY = Sample(temperature=0.0)
"""Always the likeliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepetitionAware:
    """Repetition-aware sampling (VALL-E 2, arXiv:2406.05370 §4.2).

    An id that makes up more than ``ratio`` of the last ``window`` ids is drawn again from the whole distribution. The
    second draw uses what the first left of its uniform number, which is uniform and independent of it.
    """

    first: Sample = field(default_factory=lambda: Sample(top_p=0.8))
    window: int = 10
    ratio: float = 0.1

    def __call__(
        self, logits: Float[Tensor, "B V"], uniform: Float[Tensor, " B"], history: Int[Tensor, "B H"]
    ) -> Int[Tensor, " B"]:
        """The chosen ids."""
        ids, rest = _pick(self.first.chances(logits), uniform)
        recent = history[:, -self.window :]
        often = (recent == ids[:, None]).sum(-1) > self.ratio * self.window
        again = _pick(logits.float().softmax(-1), rest)[0]
        return torch.where(often, again, ids)
