"""The two-dimensional nets of latent diffusion (arXiv:2112.10752): residual blocks, attention, and a U-shaped net.

A picture is a spectrogram or what a VAE made of it: Float[B, C, T, M], time before frequency. The U-net knows its time
from a sinusoid, follows a vector that is joined to it (FiLM; AudioLDM, arXiv:2301.12503 §4.2) and looks at a memory by
cross-attention (VoiceLDM, arXiv:2309.13664 §3.1).
"""

import math
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.nn.diffusion import Times

Picture = Float[Tensor, "B C T M"]


@final
class PictureBlock(nn.Module):
    """Two convolutions with norms; a vector shifts what comes out of the first."""

    def __init__(self, inputs: int, outputs: int, groups: int, eps: float, condition: int = 0, dropout: float = 0.0):
        """``condition`` is the vector's width; 0: there is none."""
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shift = nn.Linear(condition, outputs) if condition else None
        self.norm2 = nn.GroupNorm(groups, outputs, eps)
        self.drop = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.past = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Float[Tensor, "B C T M"], condition: Float[Tensor, "B E"] | None = None) -> Tensor:
        """The picture with other channels."""
        y = self.conv1(F.silu(self.norm1(x)))
        if self.shift is not None:
            if condition is None:
                raise ConfigError("this block follows a condition; give one to forward")
            y = y + self.shift(F.silu(condition))[:, :, None, None]
        return self.past(x) + self.conv2(self.drop(F.silu(self.norm2(y))))


@final
class Attention(nn.Module):
    """Every place looks at all others, or at a memory."""

    def __init__(self, dim: int, heads: int, memory: int) -> None:
        """``memory`` is the width of what is looked at."""
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.key = nn.Linear(memory, dim, bias=False)
        self.value = nn.Linear(memory, dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(
        self, x: Float[Tensor, "B S D"], memory: Float[Tensor, "B R E"], seen: Bool[Tensor, "B 1 1 R"] | None = None
    ) -> Float[Tensor, "B S D"]:
        """What each place finds."""
        made = ((self.query, x), (self.key, memory), (self.value, memory))
        q, k, v = (net(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for net, y in made)
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2))


@final
class Looking(nn.Module):
    """A transformer layer over all places of a picture; without a memory its second attention is to itself, too."""

    def __init__(self, dim: int, heads: int, memory: int, groups: int) -> None:
        """``memory`` is the width of the memory; 0: there is none."""
        super().__init__()
        self.norm = nn.GroupNorm(groups, dim, 1e-6)
        self.enter = nn.Conv2d(dim, dim, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.itself = Attention(dim, heads, dim)
        self.cross = Attention(dim, heads, memory or dim)
        self.up = nn.Linear(dim, 8 * dim)
        self.down = nn.Linear(4 * dim, dim)
        self.leave = nn.Conv2d(dim, dim, 1)
        self.memory = memory

    def forward(
        self, x: Picture, memory: Float[Tensor, "B R E"] | None = None, seen: Bool[Tensor, "B R"] | None = None
    ) -> Tensor:
        """The picture; ``seen`` marks what is there of the memory. ConfigError when one is wanted and not given."""
        if self.memory and memory is None:
            raise ConfigError("this net looks at a memory; give one to forward")
        y = self.enter(self.norm(x)).flatten(2).transpose(1, 2)
        z = self.norms[0](y)
        y = y + self.itself(z, z)
        z = self.norms[1](y)
        mask = None if seen is None else seen[:, None, None]
        y = y + (self.cross(z, memory, mask) if memory is not None and self.memory else self.cross(z, z))
        value, gate = self.up(self.norms[2](y)).chunk(2, -1)
        y = y + self.down(value * F.gelu(gate))
        return x + self.leave(y.transpose(1, 2).unflatten(2, x.shape[2:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetConfig:
    """Channels of each level, each of half the size of the one before; ``attends`` says which of them have attention.

    ``film`` is the width of the vector that is joined to the time, ``memory`` of what is looked at; 0: there is none.
    ``heads`` divide the channels, and ``groups`` do.
    """

    inputs: int = 8
    outputs: int = 8
    channels: tuple[int, ...] = (128, 256, 384, 640)
    blocks: int = 2
    attends: tuple[bool, ...] = (False, True, True, True)
    heads: int = 8
    groups: int = 32
    film: int = 0
    memory: int = 0
    dropout: float = 0.0
    steps: int = 1000
    """How many steps a unit of time has in the sinusoid."""

    @property
    def condition(self) -> int:
        """Width of the vector that blocks follow: of the time, and of what is joined to it."""
        return self.channels[0] * (8 if self.film else 4)

    def build(self) -> "UNet":
        """The module; ConfigError where the numbers do not fit."""
        if len(self.attends) != len(self.channels) or any(c % self.groups or c % self.heads for c in self.channels):
            raise ConfigError(
                f"a U-net needs a word on attention per level and channels that {self.groups} groups and {self.heads} "
                f"heads divide, got {self.channels} and {self.attends}"
            )
        return UNet(self)


@final
class Level(nn.Module):
    """Blocks of one size, and what leads to the next one."""

    def __init__(self, config: UNetConfig, sizes: list[tuple[int, int]], attends: bool, change: nn.Module | None):
        """``sizes`` are the inputs and outputs of each block."""
        super().__init__()
        self.residual = nn.ModuleList(
            PictureBlock(i, o, config.groups, 1e-5, config.condition, config.dropout) for i, o in sizes
        )
        self.looking = nn.ModuleList(
            Looking(o, config.heads, config.memory, config.groups) for _, o in sizes if attends
        )
        self.change = change

    def block(self, index: int, x: Picture, condition: Tensor, memory: Tensor | None, seen: Tensor | None) -> Tensor:
        """One of its blocks."""
        x = self.residual[index](x, condition)
        return self.looking[index](x, memory, seen) if len(self.looking) else x


@final
class UNet(nn.Module):
    """See the file's text; its net for a schedule is a closure over the conditions."""

    levels: Any  # nn.ModuleLists of Level, whose stub knows only modules
    ascent: Any

    def __init__(self, config: UNetConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        channels, first = config.channels, config.channels[0]
        self.enter = nn.Conv2d(config.inputs, first, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(first, 4 * first), nn.SiLU(), nn.Linear(4 * first, 4 * first))
        self.film = nn.Linear(config.film, 4 * first) if config.film else None
        last, kept, self.levels = first, [first], nn.ModuleList()
        for number, (wide, attends) in enumerate(zip(channels, config.attends, strict=True)):
            sizes = [(last if block == 0 else wide, wide) for block in range(config.blocks)]
            deepest = number == len(channels) - 1
            change = None if deepest else nn.Conv2d(wide, wide, 3, 2, padding=1)
            self.levels.append(Level(config, sizes, attends, change))
            kept += [wide] * (config.blocks + (not deepest))
            last = wide
        self.middle = Level(config, [(last, last), (last, last)], False, None)
        self.inside = Looking(last, config.heads, config.memory, config.groups)
        self.ascent = nn.ModuleList()
        for number, (wide, attends) in enumerate(zip(channels[::-1], config.attends[::-1], strict=True)):
            sizes = []
            for _ in range(config.blocks + 1):
                sizes.append((last + kept.pop(), wide))
                last = wide
            change = None if number == len(channels) - 1 else nn.Conv2d(wide, wide, 3, padding=1)
            self.ascent.append(Level(config, sizes, attends, change))
        self.norm = nn.GroupNorm(config.groups, first, 1e-5)
        self.leave = nn.Conv2d(first, config.outputs, 3, padding=1)

    def forward(
        self,
        x: Picture,
        t: Times,
        film: Float[Tensor, "B F"] | None = None,
        memory: Float[Tensor, "B R E"] | None = None,
        seen: Bool[Tensor, "B R"] | None = None,
    ) -> Tensor:
        """What is predicted of the place ``x`` at the time ``t``: Float[B, outputs, T, M].

        ``seen`` marks what is there of the memory. ConfigError when a condition is missing.
        """
        condition = self._condition(t, film)
        x = self.enter(x)
        kept = [x]
        for level in self.levels:
            for index in range(len(level.residual)):
                x = level.block(index, x, condition, memory, seen)
                kept.append(x)
            if level.change is not None:
                x = level.change(x)
                kept.append(x)
        x = self.inside(self.middle.block(0, x, condition, memory, seen), memory, seen)
        x = self.middle.block(1, x, condition, memory, seen)
        for level in self.ascent:
            for index in range(len(level.residual)):
                x = level.block(index, torch.cat((x, kept.pop()), 1), condition, memory, seen)
            if level.change is not None:
                x = level.change(F.interpolate(x, size=kept[-1].shape[2:], mode="nearest"))
        return self.leave(F.silu(self.norm(x)))

    def _condition(self, t: Times, film: Tensor | None) -> Float[Tensor, "B E"]:
        """What the blocks follow."""
        half = self.config.channels[0] // 2
        speeds = torch.exp(-math.log(10_000.0) * torch.arange(half, device=t.device) / half)
        angle = (t * self.config.steps - 1)[:, None] * speeds
        known = self.time(torch.cat((angle.cos(), angle.sin()), 1))
        if self.film is None:
            return known
        if film is None:
            raise ConfigError("this net follows a vector; give one to forward")
        return torch.cat((known, self.film(film)), 1)
