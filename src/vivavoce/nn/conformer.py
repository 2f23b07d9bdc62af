"""Chunk-causal Conformer: frames see their own chunk and a window before it; convolutions are causal.

Gulati et al. 2020 (arXiv:2005.08100) with the chunked masks of WeNet's unified streaming training (arXiv:2012.05481):
one set of weights serves every chunk size, up to the whole utterance. Departures: rotary positions or learnt keys of
clipped distances (arXiv:1803.02155, as w2v-BERT 2.0 has them) instead of Transformer-XL's, LayerNorm instead of
BatchNorm after the depthwise convolution (no batch statistics to carry while streaming).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.nn.few import Linear

_AT_ONCE = 25
"""Chunks that are stepped as one piece: more would be attended to by frames that do not see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformerConfig:
    """Sizes; ``chunk`` and ``window`` are frames.

    ``positions``: rotary, or keys of their own for distances from ``-left`` to ``right``. ``centred`` convolutions see
    as much after a frame as before it, and cannot be stepped.
    """

    dim: int = 256
    layers: int = 6
    heads: int = 4
    expand: int = 3
    kernel: int = 9
    chunk: int = 4
    window: int = 100
    dropout: float = 0.1
    rate: Fraction = Fraction(25)
    positions: Literal["rotary", "keys"] = "rotary"
    left: int = 64
    right: int = 8
    centred: bool = False
    conv_bias: bool = True
    norm_eps: float = 1e-5

    def build(self) -> "Conformer":
        """The module."""
        return Conformer(self)


@dataclass
class BlockState(State):
    """Keys and values of the window, and the frames that the convolution still sees."""

    keys: Float[Tensor, "B H W E"]
    values: Float[Tensor, "B H W E"]
    past: Float[Tensor, "B K D"]


@dataclass
class ConformerState(State):
    """One entry per block, and how many frames have gone by."""

    blocks: tuple[BlockState, ...]
    seen: Int[Tensor, " B"]


def rotate(x: Float[Tensor, "B H T E"], turns: Float[Tensor, "*B T F"]) -> Float[Tensor, "B H T E"]:
    """Rotary position embedding by angles ``turns`` (half as many as features)."""
    cos, sin = turns.cos().unsqueeze(-3).to(x.dtype), turns.sin().unsqueeze(-3).to(x.dtype)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


def chunk_mask(length: int, chunk: int, window: int, device: torch.device) -> Bool[Tensor, "T T"]:
    """Who sees whom: row i may look at column j."""
    place = torch.arange(length, device=device)
    begin = place // chunk * chunk
    return (place[None] < begin[:, None] + chunk) & (place[None] >= begin[:, None] - window)


class _Drop(nn.Module):
    """Dropout of whole features of an utterance: as good a regulariser here, and drawing it costs nothing on a CPU."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        if not self.training or not self.probability:
            return x
        kept = torch.rand(len(x), 1, x.shape[2], device=x.device) >= self.probability
        return x * (kept.to(x.dtype) / (1 - self.probability))


class _FeedForward(nn.Sequential):
    def __init__(self, config: ConformerConfig) -> None:
        wide = config.dim * config.expand
        super().__init__(
            nn.LayerNorm(config.dim, config.norm_eps),
            Linear(config.dim, wide),
            nn.SiLU(),
            Linear(wide, config.dim),
            _Drop(config.dropout),
        )


class Block(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward."""

    def __init__(self, config: ConformerConfig) -> None:
        """Builds the four pieces."""
        super().__init__()
        self.config = config
        dim = config.dim
        self.first, self.last = _FeedForward(config), _FeedForward(config)
        self.attend_norm, self.conv_norm, self.depth_norm = (nn.LayerNorm(dim, config.norm_eps) for _ in range(3))
        self.qkv, self.out = Linear(dim, 3 * dim), Linear(dim, dim)
        bias = config.conv_bias
        self.gate, self.point = Linear(dim, 2 * dim, bias), Linear(dim, dim, bias)
        self.depth = nn.Conv1d(dim, dim, config.kernel, groups=dim, bias=bias)
        self.drop = _Drop(config.dropout)
        self.norm = nn.LayerNorm(dim, config.norm_eps)
        self.distances = None
        if config.positions == "keys":
            self.distances = nn.Parameter(0.02 * torch.randn(config.left + config.right + 1, dim // config.heads))

    def project(self, x: Float[Tensor, "B T D"], turns: Float[Tensor, "*B T F"]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values by head; queries and keys rotated, where that says their positions."""
        heads = self.config.heads
        q, k, v = self.qkv(self.attend_norm(x)).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        return (q, k, v) if self.distances is not None else (rotate(q, turns), rotate(k, turns), v)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Float[Tensor, "B T D"]:
        """Written out: for some hundred frames this trains twice as fast on a CPU as the fused kernel.

        The last key belongs to the last query.
        """
        q = q * q.shape[-1] ** -0.5
        scores = q @ k.transpose(-1, -2) + bias
        if self.distances is not None:
            queries, keys = torch.arange(q.shape[2], device=q.device), torch.arange(k.shape[2], device=q.device)
            behind = keys[None] - queries[:, None] - (len(keys) - len(queries))
            which = behind.clamp(-self.config.left, self.config.right) + self.config.left
            scores = scores + (q @ self.distances.T).gather(-1, which.expand(*scores.shape))
        mixed = scores.softmax(-1, dtype=scores.dtype) @ v
        return self.drop(self.out(mixed.transpose(1, 2).flatten(2)))

    def convolve(self, joined: Float[Tensor, "B S D"]) -> Float[Tensor, "B T D"]:
        """Depthwise convolution over gated frames, past ones first."""
        y = self.depth(joined.transpose(1, 2)).transpose(1, 2)
        return self.drop(self.point(F.silu(self.depth_norm(y))))

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        turns: Float[Tensor, "T F"],
        bias: Float[Tensor, "*B T T"],
        inside: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """All frames at once; what is not ``inside`` is as silence to the convolution."""
        x = x + 0.5 * self.first(x)
        x = x + self.attend(*self.project(x, turns), bias)
        gated = F.glu(self.gate(self.conv_norm(x)), dim=-1)
        if inside is not None:
            gated = gated * inside[..., None]
        after = self.config.kernel // 2 if self.config.centred else 0
        x = x + self.convolve(F.pad(gated, (0, 0, self.config.kernel - 1 - after, after)))
        return self.norm(x + 0.5 * self.last(x))

    def step(
        self, x: Float[Tensor, "B T D"], turns: Float[Tensor, "B T F"], bias: Tensor, state: BlockState
    ) -> Float[Tensor, "B T D"]:
        """The next frames, whole chunks."""
        x = x + 0.5 * self.first(x)
        q, k, v = self.project(x, turns)
        k, v = torch.cat((state.keys, k), dim=2), torch.cat((state.values, v), dim=2)
        state.keys.copy_(k[:, :, -self.config.window :])
        state.values.copy_(v[:, :, -self.config.window :])
        x = x + self.attend(q, k, v, bias)
        joined = torch.cat((state.past, F.glu(self.gate(self.conv_norm(x)), dim=-1)), dim=1)
        state.past.copy_(joined[:, joined.shape[1] - state.past.shape[1] :])
        x = x + self.convolve(joined)
        return self.norm(x + 0.5 * self.last(x))


@final
class Conformer(nn.Module):
    """A stack of blocks over frames on one clock."""

    turns: Tensor
    blocks: Any  # nn.ModuleList of Block, whose stub knows only modules

    def __init__(self, config: ConformerConfig) -> None:
        """Builds the blocks."""
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        half = config.dim // config.heads // 2
        self.register_buffer("turns", 10000.0 ** (-torch.arange(half) / half), persistent=False)

    @property
    def timing(self) -> Timing:
        """A chunk is one tick of output: its first frame waits for its last."""
        return Timing(rate=self.config.rate, hop=self.config.chunk)

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        lengths: Int[Tensor, " B"] | None = None,
        chunk: int | None = None,
        tap: int | None = None,
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T D"]]:
        """All frames at once with any chunk size (None: the streaming one; 0: no limit in time).

        Gives the last block's frames and those after block ``tap`` (for a loss half-way).
        """
        tapped = x
        for number, after in enumerate(self.each(x, lengths, chunk)):
            x = after
            if tap is not None and tap + 1 == number:
                tapped = after
        return x, tapped

    def each(
        self, x: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"] | None = None, chunk: int | None = None
    ) -> Iterator[Float[Tensor, "B T D"]]:
        """What goes into the first block, then what comes out of each."""
        length = x.shape[1]
        size = self.config.chunk if chunk is None else chunk
        window = self.config.window if size else length
        visible = chunk_mask(length, size or length, window, x.device)[None, None]
        inside = None
        if lengths is not None:
            inside = torch.arange(length, device=x.device)[None] < lengths[:, None]
            visible = visible & inside[:, None, None]
            visible = visible | torch.eye(length, dtype=torch.bool, device=x.device)
        kind = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        bias = torch.zeros_like(visible, dtype=kind).masked_fill_(~visible, -1e4)
        turns = torch.arange(length, device=x.device)[:, None] * self.turns
        yield x
        for block in self.blocks:
            x = block(x, turns, bias, inside if self.config.centred else None)
            yield x

    def init_state(self, rows: int) -> ConformerState:
        """Nothing heard yet."""
        config = self.config
        like = self.blocks[0].qkv.weight
        size = (config.heads, config.window, config.dim // config.heads)
        return ConformerState(
            tuple(
                BlockState(
                    zeros(rows, *size, like=like),
                    zeros(rows, *size, like=like),
                    zeros(rows, config.kernel - 1, config.dim, like=like),
                )
                for _ in range(config.layers)
            ),
            torch.zeros(rows, dtype=torch.long, device=like.device),
        )

    def step(
        self, x: Float[Tensor, "B T D"], state: ConformerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """Whole chunks, but the last may be shorter at the very end; many at once cost far less than one by one."""
        config = self.config
        before = state.clone() if active is not None else state
        pieces = x.split(_AT_ONCE * config.chunk, dim=1) if x.shape[1] else ()
        outputs = [self._chunks(piece, state) for piece in pieces] or [x]
        state.keep(before, active)
        return torch.cat(outputs, dim=1)

    def _chunks(self, x: Float[Tensor, "B T D"], state: ConformerState) -> Float[Tensor, "B T D"]:
        config, length = self.config, x.shape[1]
        if config.centred:
            raise ConfigError("convolutions that look both ways cannot be stepped; build the conformer uncentred")
        turns = (state.seen[:, None] + torch.arange(length, device=x.device))[..., None] * self.turns
        empty = torch.arange(config.window, device=x.device)[None] < config.window - state.seen[:, None]
        queries = length if length > config.chunk else 1  # what stands in one chunk sees the same
        bias = torch.zeros(len(x), 1, queries, config.window + length, dtype=x.dtype, device=x.device)
        bias[:, 0, :, : config.window].masked_fill_(empty[:, None], -1e4)
        if queries > 1:
            begins = torch.arange(length, device=x.device)[:, None] // config.chunk * config.chunk
            keys = torch.arange(config.window + length, device=x.device)
            bias.masked_fill_((keys < begins) | (keys >= begins + config.window + config.chunk), -1e4)
        for block, own in zip(self.blocks, state.blocks, strict=True):
            x = block.step(x, turns, bias, own)
        state.seen += length
        return x
