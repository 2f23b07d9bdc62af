"""A language model of prosody codes, under what is said and who says it (P-LLM; Mega-TTS, arXiv:2306.03509 §3.2).

Half of what comes in at a place is the code before it, half the place's own condition, which is known beforehand. A
prompt's codes under its own conditions stand first. How codes are written: `generate.prosody`.
"""

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig


class ProsodyPrompt(NamedTuple):
    """Codes that stand before those that are written, with their conditions; there may be none."""

    condition: Float[Tensor, "K C"]
    codes: Int[Tensor, " K"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProsodyLmConfig:
    """``size`` codes, ``condition`` numbers at each place."""

    trunk: TransformerConfig
    size: int
    condition: int

    def build(self) -> "ProsodyLm":
        """The module; ConfigError for a trunk that looks ahead."""
        if not self.trunk.causal:
            raise ConfigError("a language model of prosody looks back only; build its trunk with causal=True")
        return ProsodyLm(self)


@final
class ProsodyLm(nn.Module):
    """See the file's text."""

    def __init__(self, config: ProsodyLmConfig) -> None:
        """Fresh weights; the last entry stands before the first code."""
        super().__init__()
        self.config = config
        half = config.trunk.dim // 2
        self.embed = nn.Embedding(config.size + 1, half)
        self.enter = nn.Linear(config.condition, config.trunk.dim - half)
        self.trunk = config.trunk.build()
        self.out = nn.Linear(config.trunk.dim, config.size)

    def forward(self, codes: Int[Tensor, "B Q"], condition: Float[Tensor, "B Q C"]) -> Float[Tensor, "B Q V"]:
        """Logits of every code from those before it."""
        before = nn.functional.pad(codes, (1, 0), value=self.config.size)[:, :-1]
        return self.out(self.trunk(self.entered(before, condition)))

    def entered(self, before: Int[Tensor, "B Q"], condition: Float[Tensor, "B Q C"]) -> Float[Tensor, "B Q D"]:
        """What goes into the trunk at places whose codes before them are known."""
        return torch.cat((self.embed(before), self.enter(condition)), dim=2)
