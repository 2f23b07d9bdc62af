"""Masked generation: all places of a sequence at once, the surest first, in a few passes (MaskGIT, arXiv:2202.04200).

How many places are hidden at a time t from 1 to 0 is sin(pi t / 2), in training and in writing (NaturalSpeech 3,
arXiv:2403.03100 §4.2). In each pass every hidden place is written, and those that were written least surely are hidden
again; noise on how sure something is, which fades, lets the passes differ.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.core.errors import ConfigError

Score = Callable[[Int[Tensor, "B T"], Bool[Tensor, "B T"], float], Float[Tensor, "B T V"]]
"""Scores of every place: ids, which of them are hidden (their ids mean nothing), and the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasking:
    """``steps`` passes; ids are drawn among the likeliest (``top_share`` of them; 1: all) at a ``temperature``.

    Temperature 0 takes the likeliest. ``noise`` is how much chance there is in what is kept at first; it falls to 0.
    """

    steps: int = 10
    temperature: float = 1.0
    noise: float = 1.5
    top_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuses numbers that write nothing."""
        if self.steps < 1 or self.temperature < 0 or self.noise < 0 or not 0 < self.top_share <= 1:
            raise ConfigError(f"masked generation takes at least one pass and a share above 0 and up to 1, got {self}")


def hidden_share(time: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """The share of places that are hidden at a time from 0 (none) to 1 (all)."""
    return (math.pi / 2 * time).sin()


def linear_levels(levels: int, first: int = 0) -> Float[Tensor, " L"]:
    """How often each of so many levels is learnt: earlier ones more often, in proportion to how many are left.

    Levels before ``first`` never are.
    """
    left = torch.arange(levels - first, 0, -1, dtype=torch.float32)
    return torch.cat((torch.zeros(first), left / left.sum()))


def hide(
    free: Bool[Tensor, "B T"], time: Float[Tensor, " B"], generator: torch.Generator | None = None
) -> Bool[Tensor, "B T"]:
    """What of the ``free`` places is hidden in training at each row's time; at least one, where there is any."""
    drawn = torch.rand(free.shape, generator=generator).to(free.device)
    least = torch.where(free, drawn, 2.0).argmin(1)
    chosen = drawn < hidden_share(time)[:, None]
    chosen[torch.arange(len(free), device=free.device), least] = True
    return chosen & free


def unmask(
    score: Score,
    ids: Int[Tensor, "B T"],
    free: Bool[Tensor, "B T"],
    how: Unmasking,
    draws: Sequence[torch.Generator],
) -> Int[Tensor, "B T"]:
    """Writes the ``free`` places, leaves the others as they are; each row draws from a generator of its own.

    So a row does not depend on the others, as long as its scores do not.
    """
    ids = ids.clone()
    hidden, counts = free.clone(), free.sum(1)
    for step in range(how.steps):
        time = 1 - step / how.steps
        scores = score(ids, hidden, time).float()
        left = (hidden_share(torch.tensor(1 - (step + 1) / how.steps)) * counts).long()
        if step == how.steps - 1:
            left = torch.zeros_like(counts)
        for row, draw in enumerate(draws):
            places = hidden[row].nonzero()[:, 0]
            if not len(places):
                continue
            chosen, sure = _drawn(scores[row, places], how, draw)
            ids[row, places] = chosen
            noisy = sure + how.noise * time * _gumbel(sure.shape, draw).to(sure.device)
            again = places[noisy.argsort(stable=True)[: min(int(left[row]), len(places) - 1)]]
            hidden[row] = False
            hidden[row, again] = True
    return ids


def _drawn(
    scores: Float[Tensor, "P V"], how: Unmasking, draw: torch.Generator
) -> tuple[Int[Tensor, " P"], Float[Tensor, " P"]]:
    """An id for each place, and the logarithm of how likely the model finds it."""
    logs = scores.log_softmax(-1)
    if how.temperature == 0:
        chosen = logs.argmax(-1)
    else:
        kept = max(1, math.ceil(how.top_share * logs.shape[-1]))
        least = logs.topk(kept, dim=-1).values[:, -1:]
        noisy = logs / how.temperature + _gumbel(logs.shape, draw).to(logs.device)
        chosen = noisy.masked_fill(logs < least, -torch.inf).argmax(-1)
    return chosen, logs.gather(-1, chosen[:, None])[:, 0]


def _gumbel(shape: Sequence[int], draw: torch.Generator) -> Tensor:
    return -torch.log(-torch.log(torch.rand(tuple(shape), generator=draw).clamp(1e-9, 1 - 1e-7)))
