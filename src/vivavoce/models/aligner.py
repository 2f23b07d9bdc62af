"""A transferable aligner (StyleTTS, arXiv:2205.15439 §3.2): a recogniser whose attention says where every phone is.

Frames of half the mel's rate are spelled by connectionist temporal classification and by a decoder that looks at them
with location-sensitive attention (arXiv:1506.07503 §2.1), phone by phone. A row of attention per phone is a soft
alignment; monotonic alignment search over it makes a hard one.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.nn.monotonic import monotonic_durations, path_of

_KERNEL = 31
"""Of the convolution over where was looked before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignerConfig:
    """Mel bins, phones, width, residual blocks, and the share of phones that the decoder does not see in training."""

    bins: int = 80
    phones: int = 40
    dim: int = 256
    blocks: int = 4
    masked: float = 0.2
    earlier_names: ClassVar[tuple[tuple[str, str], ...]] = (("untold", "masked"),)

    def build(self) -> "Aligner":
        """The module."""
        return Aligner(self)


class Aligned(NamedTuple):
    """What it finds."""

    soft: Float[Tensor, "B P S"]  # attention: what share of each phone is where
    hard: Float[Tensor, "B P S"]  # 0 or 1: the best monotonic path
    durations: Int[Tensor, "B P"]  # of that path
    spelled: Float[Tensor, "B P V"]  # scores of the decoder
    heard: Float[Tensor, "B S C"]  # log-probabilities of the frames, the blank last


@final
class Aligner(nn.Module):
    """See the file's text."""

    def __init__(self, config: AlignerConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config, dim = config, config.dim
        self.enter = nn.Conv1d(config.bins, dim, 7, 2, padding=3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, dim), nn.LeakyReLU(0.2), nn.Conv1d(dim, dim, 5, padding=2))
            for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.letters = nn.Linear(dim, config.phones + 1)
        self.embed = nn.Embedding(config.phones + 2, dim)
        self.cell = nn.LSTMCell(2 * dim, dim)
        self.keys, self.query, self.score = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 1)
        self.places = nn.Conv1d(2, dim, _KERNEL, padding=_KERNEL // 2, bias=False)
        self.out = nn.Linear(2 * dim, config.phones)

    def forward(
        self,
        mel: Float[Tensor, "B M T"],
        frames: Int[Tensor, " B"],
        phones: Int[Tensor, "B P"],
        lengths: Int[Tensor, " B"],
    ) -> Aligned:
        """Levelled mel frames, an even number of them, to places of phones on a clock half as fast.

        SpecError for a row that has fewer frames there than phones.
        """
        x = self.enter(mel)
        for block in self.blocks:
            x = x + block(x)
        hidden = self.norm(x.transpose(1, 2))
        valid = torch.arange(hidden.shape[1], device=mel.device) < (frames // 2)[:, None]
        soft, spelled = self._spell(hidden, valid, phones)
        there = torch.arange(phones.shape[1], device=mel.device) < lengths[:, None]
        soft = soft * there[:, :, None]
        durations = monotonic_durations(soft, lengths, frames // 2)
        hard = path_of(durations, hidden.shape[1]).float()
        return Aligned(soft, hard, durations, spelled, self.letters(hidden).log_softmax(-1))

    def _spell(
        self, hidden: Float[Tensor, "B S D"], valid: Tensor, phones: Int[Tensor, "B P"]
    ) -> tuple[Float[Tensor, "B P S"], Float[Tensor, "B P V"]]:
        begin = torch.full_like(phones[:, :1], self.config.phones)
        given = torch.cat((begin, phones[:, :-1]), dim=1)
        if self.training and self.config.masked:
            masked = torch.rand(given.shape, device=given.device) < self.config.masked
            given = torch.where(masked, self.config.phones + 1, given)
        embedded, keys = self.embed(given), self.keys(hidden)
        state = hidden.new_zeros(len(hidden), self.config.dim), hidden.new_zeros(len(hidden), self.config.dim)
        context = state[0]
        looked = total = hidden.new_zeros(hidden.shape[:2])
        attention, spelled = [], []
        for place in range(phones.shape[1]):
            state = self.cell(torch.cat((embedded[:, place], context), dim=1), state)
            before = self.places(torch.stack((looked, total), dim=1)).transpose(1, 2)
            energy = self.score(torch.tanh(keys + self.query(state[0])[:, None] + before))[..., 0]
            looked = energy.masked_fill(~valid, -torch.inf).softmax(1)
            total = total + looked
            context = (looked[:, None] @ hidden)[:, 0]
            attention.append(looked)
            spelled.append(self.out(torch.cat((state[0], context), dim=1)))
        return torch.stack(attention, dim=1), torch.stack(spelled, dim=1)


def aligner_losses(
    found: Aligned, frames: Int[Tensor, " B"], phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"]
) -> dict[str, Float[Tensor, ""]]:
    """What it learns from: spelling by the decoder and by frames, and how far soft is from hard, per frame."""
    there = torch.arange(phones.shape[1], device=phones.device) < lengths[:, None]
    spelled = F.cross_entropy(found.spelled.float()[there], phones[there])
    heard = F.ctc_loss(
        found.heard.transpose(0, 1), phones, frames // 2, lengths, blank=found.heard.shape[2] - 1, zero_infinity=True
    )
    between = (found.soft - found.hard).abs().sum() / (frames // 2).sum()
    return {"spelled": spelled, "heard": heard, "monotonic": between}
