"""Styles out of text: a denoiser of one vector that sees phones, and who speaks (StyleTTS 2, arXiv:2306.07691 §3.2.2).

Phones are read by a transformer that was taught to fill in hidden ones (`PhoneReader`, after PL-BERT,
arXiv:2301.08810).
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.nn.transformer import Transformer, TransformerConfig

_WAVES = 16
"""Frequencies that a time is written in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneReaderConfig:
    """How many phones, and a trunk that looks both ways."""

    phones: int
    trunk: TransformerConfig

    def build(self) -> "PhoneReader":
        """The module."""
        return PhoneReader(self)


@final
class PhoneReader(nn.Module):
    """Phones to vectors that know the text around them."""

    def __init__(self, config: PhoneReaderConfig) -> None:
        """One embedding more, for what is hidden."""
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.phones + 1, config.trunk.dim)
        self.trunk: Transformer = config.trunk.build()
        self.out = nn.Linear(config.trunk.dim, config.phones)

    def forward(
        self, phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"], hidden: Bool[Tensor, "B P"] | None = None
    ) -> Float[Tensor, "B P D"]:
        """A vector per phone; padding is 0."""
        valid = torch.arange(phones.shape[1], device=phones.device) < lengths[:, None]
        seen = phones if hidden is None else torch.where(hidden, self.config.phones, phones)
        return self.trunk(self.embed(seen), valid) * valid[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleDenoiserConfig:
    """Widths of the style and of the text's vectors; the trunk's ``condition`` takes time and speaker."""

    style: int
    text: int
    trunk: TransformerConfig

    def build(self) -> "StyleDenoiser":
        """The module."""
        return StyleDenoiser(self)


@final
class StyleDenoiser(nn.Module):
    """A noisy style beside every phone, and the mean over phones of what a transformer makes of them."""

    frequencies: Tensor

    def __init__(self, config: StyleDenoiserConfig) -> None:
        """The trunk's norms follow the time and a speaker's own style."""
        super().__init__()
        self.config, dim = config, config.trunk.dim
        self.enter = nn.Linear(config.style + config.text, dim)
        self.nothing = nn.Parameter(torch.randn(config.text) * 0.02)
        self.time = nn.Sequential(nn.Linear(2 * _WAVES + config.style, dim), nn.SiLU())
        self.map = nn.Linear(dim, config.trunk.condition)
        self.trunk: Transformer = config.trunk.build()
        self.out = nn.Linear(dim, config.style)
        self.register_buffer("frequencies", 2.0 ** torch.linspace(-2, 5, _WAVES), persistent=False)

    def forward(
        self,
        style: Float[Tensor, "B C"],
        time: Float[Tensor, " B"],
        text: Float[Tensor, "B P D"],
        lengths: Int[Tensor, " B"],
        speaker: Float[Tensor, "B C"],
        without_text: Bool[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B C"]:
        """The net of `nn.diffusion.Edm.denoise`; rows ``without_text`` do not see it."""
        if without_text is not None:
            text = torch.where(without_text[:, None, None], self.nothing, text)
        valid = torch.arange(text.shape[1], device=text.device) < lengths[:, None]
        angles = time[:, None] * self.frequencies
        condition = self.time(torch.cat((angles.sin(), angles.cos(), speaker), dim=1))
        x = self.enter(torch.cat((style[:, None].expand(-1, text.shape[1], -1), text), dim=2))
        x = self.trunk(x, valid, self.map(condition)) * valid[..., None]
        return self.out(x.sum(1) / lengths[:, None])
