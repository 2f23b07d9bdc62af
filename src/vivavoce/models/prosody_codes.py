"""Prosody as codes: the lowest mel bins, thinned out in time, through one small book (Mega-TTS, arXiv:2306.03509 §3.1).

The lowest 20 bins hold pitch, level and pace and little of who speaks; a code for every phone (Mega-TTS 1) or for every
eight frames (Mega-TTS 2, arXiv:2307.07218 §3.1) leaves no room for the rest. No text comes in.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.nn.conv_stack import ConvStackConfig
from vivavoce.nn.quantize import ResidualConfig, ResidualQuantizer
from vivavoce.nn.regulate import pieces, pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyCodesConfig:
    """``stride`` frames have one code, or with 0 each phone; ``stack`` stands before and after they are thinned out."""

    bins: int = 20
    stack: ConvStackConfig = ConvStackConfig(width=384)
    stride: int = 0
    size: int = 1024
    code_dim: int = 256
    mean: float = -5.0
    deviation: float = 2.5

    def places(self, phones: Int[Tensor, "B P"]) -> Int[Tensor, "B Q"]:
        """The frames of each code, where those of each phone are given."""
        return pieces(phones.sum(1), self.stride) if self.stride else phones

    def build(self) -> "ProsodyCodes":
        """The module."""
        return ProsodyCodes(self)


class Coded(NamedTuple):
    """Codes of places, their vectors (gradients pass straight through), and how far off they are."""

    codes: Int[Tensor, "B Q"]
    values: Float[Tensor, "B Q D"]
    commitment: Float[Tensor, ""]


@final
class ProsodyCodes(nn.Module):
    """See the file's text."""

    def __init__(self, config: ProsodyCodesConfig) -> None:
        """Fresh weights; the book is begun by the first vectors (`start`)."""
        super().__init__()
        self.config = config
        width = config.stack.width
        self.enter = nn.Linear(config.bins, width)
        self.before, self.after = config.stack.build(), config.stack.build()
        self.quantizer: ResidualQuantizer = ResidualConfig(
            dim=width, code_dim=config.code_dim, books=1, size=config.size, fewer_books=0.0
        ).build()

    def vectors(self, mel: Float[Tensor, "B M T"], counts: Int[Tensor, "B Q"]) -> Float[Tensor, "B Q D"]:
        """A vector per place; ``counts`` are its frames, as `ProsodyCodesConfig.places` gives them."""
        there = torch.arange(mel.shape[2], device=mel.device) < counts.sum(1)[:, None]
        low = (mel[:, : self.config.bins].transpose(1, 2) - self.config.mean) / self.config.deviation
        x = self.before(self.enter(low) * there[..., None], there)
        return self.after(pooled(x, counts), counts > 0)

    def forward(self, mel: Float[Tensor, "B M T"], counts: Int[Tensor, "B Q"]) -> Coded:
        """Codes of places; those without frames have code 0 and no vector."""
        x, kept = self.vectors(mel, counts), counts > 0
        found = self.quantizer(x[kept].T[None])
        codes = torch.zeros(kept.shape, dtype=torch.long, device=x.device).masked_scatter(kept, found.codes[0, 0])
        values = torch.zeros_like(x).masked_scatter(kept[..., None].expand_as(x), found.values[0].T)
        return Coded(codes, values, found.commitment)

    @torch.no_grad()
    def start(self, mel: Float[Tensor, "B M T"], counts: Int[Tensor, "B Q"]) -> None:
        """Begins the book by k-means; SpecError for fewer vectors than it has entries."""
        self.quantizer.start(self.vectors(mel, counts)[counts > 0].T[None], rounds=20)

    def decode(self, codes: Int[Tensor, "B Q"], kept: Bool[Tensor, "B Q"]) -> Float[Tensor, "B Q D"]:
        """The vectors of codes; none where a place is not kept."""
        return self.quantizer.decode(codes[:, None]).transpose(1, 2) * kept[..., None]
