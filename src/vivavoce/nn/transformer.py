"""The one transformer: grouped heads, a window of keys and values owned by the caller.

What it is made of by default (rotary positions, RMSNorm before each sublayer, SwiGLU, no biases) is what Llama is made
of (arXiv:2307.09288); the rest of the configuration holds what wav2vec 2.0, HuBERT, WavLM, Whisper, VALL-E and Moshi
have instead.

Whole sequences go through `forward` (training), pieces through `step` (streaming), side branches that may be thrown
away through `look` (scoring several continuations at once). The three share their mathematics: a position attends to
itself and to the ``window - 1`` positions before it.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.nn.attention import BiasGate, CrossAttention, RelativeBias, RelativeConfig, Remembered
from vivavoce.nn.few import Linear
from vivavoce.nn.int8 import Int8Linear
from vivavoce.nn.norm import Norm


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """Numbers of a transformer; ``kv_heads`` divides ``heads`` (grouped-query attention, arXiv:2305.13245).

    ``post`` puts norms after the sublayers, and the last one before the first layer. ``condition`` is the width of a
    vector that sets scale and shift of every norm but the last (adaptive norms; VALL-E's stages); 0: there is none.
    """

    dim: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    window: int
    causal: bool = True
    rope_base: float = 10_000.0
    dropout: float = 0.0
    norm: Literal["rms", "layer"] = "rms"
    norm_eps: float = 1e-5
    post: bool = False
    gated: bool = True
    """SwiGLU; without, GELU."""
    bias: bool = False
    rotary: bool = True
    scaled: float = 0.0
    """Sublayers' outputs are multiplied by learnt numbers that begin as this (arXiv:2103.17239); 0: they are not."""
    last_norm: bool = True
    condition: int = 0
    memory: int = 0
    """Width of a memory that every layer looks at after itself (cross-attention); 0: there is none."""
    relative: RelativeConfig | None = None
    """Gated relative position bias (WavLM), for whole sequences only."""
    layerdrop: float = 0.0
    """Probability that training passes a layer by (arXiv:1909.11556)."""
    bits: Literal[8, 32] = 32
    """8: matrices of whole numbers (`nn.int8`), for a model that is loaded and not trained."""

    def __post_init__(self) -> None:
        """Refuses numbers that do not divide."""
        if self.dim % (2 * self.heads) or self.heads % self.kv_heads:
            raise ConfigError(
                f"dim {self.dim} must be a multiple of twice the heads ({self.heads}), "
                f"and those of kv_heads ({self.kv_heads})"
            )

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.dim // self.heads

    def build(self) -> "Transformer":
        """The module with fresh weights."""
        return Transformer(self)


@dataclass
class TransformerState(State):
    """Keys and values of the last ``window`` positions in rings, per layer [B, G, W, E], and how many positions there
    were."""

    position: Int[Tensor, " B"]
    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def make_room(self, positions: int) -> None:
        """Lets windows that were begun small hold at least so many positions; none of them has to be full before."""
        more = positions - self.keys[0].shape[2]
        if more > 0:
            self.keys = tuple(F.pad(leaf, (0, 0, 0, more)) for leaf in self.keys)
            self.values = tuple(F.pad(leaf, (0, 0, 0, more)) for leaf in self.values)


def _norm(config: TransformerConfig, condition: int = 0) -> Norm:
    return Norm(config.dim, config.norm_eps, centred=config.norm == "layer", condition=condition)


Rotation = tuple[Float[Tensor, "#B 1 S E"], Float[Tensor, "#B 1 S E"]]
"""Cosine and signed sine of each position's angles."""


def _turn(
    x: Float[Tensor, "B H S E"], cos: Float[Tensor, "#B 1 S E"], sin: Float[Tensor, "#B 1 S E"]
) -> Float[Tensor, "B H S E"]:
    """Rotary positions (arXiv:2104.09864), first half of a head against its second half; ``sin`` carries the signs."""
    wide = x.float()
    return torch.addcmul(wide * cos, wide.roll(x.shape[-1] // 2, -1), sin).to(x.dtype)


class Layer(nn.Module):
    """Attention and a feed-forward net, each with a norm and added to what came in."""

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        kv = config.kv_heads * config.head_dim
        self.before = _norm(config, config.condition)
        linear = Int8Linear if config.bits == 8 else Linear
        self.qkv = linear(config.dim, config.dim + 2 * kv, bias=config.bias)
        self.out = linear(config.dim, config.dim, bias=config.bias)
        self.between = _norm(config, config.condition)
        self.up = linear(config.dim, (1 + config.gated) * config.hidden, bias=config.bias)
        self.down = linear(config.hidden, config.dim, bias=config.bias)
        self.cross_norm = _norm(config, config.condition) if config.memory else None
        self.cross = CrossAttention(config.dim, config.heads, config.memory, config.bias) if config.memory else None
        self.gate = BiasGate(config.heads, config.head_dim) if config.relative else None
        self.drop = nn.Dropout(config.dropout)
        self.out_scale = nn.Parameter(torch.full((config.dim,), config.scaled)) if config.scaled else None
        self.down_scale = nn.Parameter(torch.full((config.dim,), config.scaled)) if config.scaled else None

    def heads(
        self, x: Float[Tensor, "B S D"], rotation: Rotation | None, condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "B H S E"], Float[Tensor, "B G S E"], Float[Tensor, "B G S E"]]:
        """Queries, keys and values; queries and keys know their positions."""
        c = self.config
        x = x if c.post else self.before(x, condition)
        made = self.qkv(x).unflatten(-1, (-1, c.head_dim)).transpose(1, 2)
        turned = made[:, : c.heads + c.kv_heads]
        if rotation is not None:
            turned = _turn(turned, *rotation)
        return turned[:, : c.heads], turned[:, c.heads :], made[:, c.heads + c.kv_heads :]

    def bias(
        self, x: Float[Tensor, "B S D"], far: Float[Tensor, "H S S"], condition: Tensor | None
    ) -> Float[Tensor, "B H S S"]:
        """The relative position bias as this layer's queries want it."""
        assert self.gate is not None
        return self.gate(x if self.config.post else self.before(x, condition), far)

    def rest(
        self,
        x: Float[Tensor, "B S D"],
        attended: Float[Tensor, "B H S E"],
        condition: Tensor | None = None,
        memory: tuple[Tensor, Tensor, Tensor | None] | None = None,
    ) -> Float[Tensor, "B S D"]:
        """Everything after attention."""
        attended = self.out(attended.transpose(1, 2).flatten(2))
        x = x + self.drop(attended if self.out_scale is None else attended * self.out_scale)
        x = self.before(x, condition) if self.config.post else x
        if self.cross is not None and self.cross_norm is not None:
            if memory is None:
                raise ConfigError("this transformer looks at a memory; give one that `remember` made")
            x = x + self.drop(self.cross(x if self.config.post else self.cross_norm(x, condition), *memory))
            x = self.cross_norm(x, condition) if self.config.post else x
        made = self.down(self._wide(x if self.config.post else self.between(x, condition)))
        x = x + self.drop(made if self.down_scale is None else made * self.down_scale)
        return self.between(x, condition) if self.config.post else x

    def _wide(self, x: Float[Tensor, "B S D"]) -> Float[Tensor, "B S F"]:
        if not self.config.gated:
            return F.gelu(self.up(x))
        gate, value = self.up(x).chunk(2, dim=-1)
        return F.silu(gate) * value


class Transformer(nn.Module):
    """A stack of layers and a last norm, from vectors to vectors."""

    speeds: Tensor
    layers: Any  # nn.ModuleList of Layer, whose stub knows only modules

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = _norm(config) if config.last_norm else nn.Identity()
        self.relative = RelativeBias(config.relative, config.heads) if config.relative else None
        half = config.head_dim // 2
        speeds = config.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)
        self.register_buffer("speeds", speeds, persistent=False)
        for layer in self.layers if config.bits == 32 else ():
            for weight in (layer.out.weight, layer.down.weight):
                nn.init.normal_(weight, std=0.02 / (2 * config.layers) ** 0.5)
            for weight in (layer.qkv.weight, layer.up.weight):
                nn.init.normal_(weight, std=0.02)
            for linear in (layer.qkv, layer.out, layer.up, layer.down) if config.bias else ():
                nn.init.zeros_(linear.bias)

    @property
    def timing(self) -> Timing:
        """One position in, one out, nothing ahead."""
        return Timing(rate=Fraction(1))

    def _rotation(self, positions: Int[Tensor, "B S"]) -> Rotation | None:
        if not self.config.rotary:
            return None
        angle = (positions[..., None].float() * self.speeds.float())[:, None]
        cos, sin = angle.cos(), angle.sin()
        return torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)

    def forward(
        self,
        x: Float[Tensor, "B S D"],
        valid: Bool[Tensor, "B S"] | None = None,
        condition: Float[Tensor, "B C"] | None = None,
        memory: Remembered | None = None,
    ) -> Float[Tensor, "B S D"]:
        """A whole sequence from position 0.

        ``valid`` marks what may be attended to where sequences are padded; a causal model with padding at the end
        needs none.
        """
        after = x
        for after in self.each(x, valid, condition, memory):  # noqa: B007 - the last one is wanted
            pass
        return after if self.config.post else self.norm(after)

    def each(
        self,
        x: Float[Tensor, "B S D"],
        valid: Bool[Tensor, "B S"] | None = None,
        condition: Float[Tensor, "B C"] | None = None,
        memory: Remembered | None = None,
    ) -> Iterator[Float[Tensor, "B S D"]]:
        """What goes into the first layer, then what comes out of each; the last norm of ``forward`` is not among it."""
        c = self.config
        places = torch.arange(x.shape[1], device=x.device)
        rotation = self._rotation(places[None])
        mask = None
        simple = c.causal and x.shape[1] <= c.window and valid is None
        if not simple and (c.causal or valid is not None or x.shape[1] > c.window):
            distance = places[:, None] - places[None]
            near = distance.abs() < c.window if not c.causal else (distance >= 0) & (distance < c.window)
            mask = near[None, None]
            if valid is not None:
                # Everything may see itself, or a row without anything valid would divide by zero.
                mask = mask & (valid[:, None, None] | (distance == 0))
        far = None if self.relative is None else self.relative(x.shape[1])
        x = self.norm(x) if c.post else x
        yield x
        for index, layer in enumerate(self.layers):
            if self.training and c.layerdrop and torch.rand(()) < c.layerdrop:
                yield x
                continue
            q, k, v = layer.heads(x, rotation, condition)
            seen = mask
            if far is not None:
                seen = layer.bias(x, far, condition)
                seen = seen if mask is None else seen.masked_fill(~mask, -torch.inf)
            with sdpa_kernel(SDPBackend.MATH) if self.training and x.device.type == "cpu" else nullcontext():
                # On a CPU the fused kernel's backward costs several times the plain one's.
                attended = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=simple, enable_gqa=True)
            x = layer.rest(x, attended, condition, memory and memory.of(index))
            yield x

    def remember(self, memory: Float[Tensor, "B M C"], valid: Bool[Tensor, "B M"] | None = None) -> Remembered:
        """A memory as the layers look at it."""
        made = [layer.cross.remember(memory) for layer in self.layers]
        return Remembered(
            tuple(keys for keys, _ in made),
            tuple(values for _, values in made),
            None if valid is None else valid[:, None, None],
        )

    def init_state(self, rows: int, room: int | None = None) -> TransformerState:
        """Empty windows; with ``room`` for so many positions at first (see `TransformerState.make_room`)."""
        c = self.config
        weight = self.layers[0].before.weight
        position = torch.zeros(rows, dtype=torch.long, device=weight.device)

        def leaf() -> Tensor:
            return zeros(rows, c.kv_heads, c.window if room is None else min(room, c.window), c.head_dim, like=weight)

        return TransformerState(position, tuple(leaf() for _ in self.layers), tuple(leaf() for _ in self.layers))

    def _past(self, state: TransformerState, positions: Int[Tensor, "B S"]) -> tuple[int, Bool[Tensor, "B 1 S P"]]:
        """How much of the rings is in use at all, and what of it each new position sees."""
        window = self.config.window
        filled = min(window, int(state.position.max())) if len(state.position) else 0
        slots = torch.arange(filled, device=positions.device)
        last = state.position[:, None] - 1
        held = last - (last - slots) % window
        seen = (held >= 0)[:, None] & (positions[..., None] - held[:, None] < window)
        return filled, seen[:, None]

    def _run(
        self,
        x: Float[Tensor, "B S D"],
        state: TransformerState,
        positions: Int[Tensor, "B S"],
        among: Bool[Tensor, "S S"],
        memory: Remembered | None = None,
    ) -> tuple[Float[Tensor, "B S D"], list[tuple[Tensor, Tensor]]]:
        """New positions over the rings, with their own keys and values for whoever wants to keep them."""
        if not self.config.causal:
            raise ConfigError("a transformer that looks both ways cannot be stepped; build it with causal=True")
        if self.relative is not None:
            raise ConfigError("a transformer with relative position biases cannot be stepped; choose rotary ones")
        rotation = self._rotation(positions)
        filled, seen = self._past(state, positions)
        mask = torch.cat((seen, among.expand(len(x), 1, -1, -1)), dim=-1)
        made = []
        x = self.norm(x) if self.config.post else x
        for index, (layer, keys, values) in enumerate(zip(self.layers, state.keys, state.values, strict=True)):
            q, k, v = layer.heads(x, rotation)
            made.append((k, v))
            all_keys = torch.cat((keys[:, :, :filled], k), dim=2)
            all_values = torch.cat((values[:, :, :filled], v), dim=2)
            attended = F.scaled_dot_product_attention(q, all_keys, all_values, attn_mask=mask, enable_gqa=True)
            x = layer.rest(x, attended, None, memory and memory.of(index))
        return x if self.config.post else self.norm(x), made

    def step(
        self,
        x: Float[Tensor, "B S D"],
        state: TransformerState,
        active: Bool[Tensor, " B"] | None = None,
        memory: Remembered | None = None,
    ) -> Float[Tensor, "B S D"]:
        """The next S positions of every row; rows that are not active keep their state and give numbers without
        meaning."""
        size = x.shape[1]
        if not size or not len(x):
            return x
        first = int(state.position[0])
        together = active is None and (len(x) == 1 or bool((state.position == first).all()))
        if self.config.causal and self.relative is None and together and first + size <= self.config.window:
            return self._aligned(x, state, first, memory)
        places = torch.arange(size, device=x.device)
        distance = places[:, None] - places[None]
        positions = state.position[:, None] + places
        y, made = self._run(x, state, positions, (distance >= 0) & (distance < self.config.window), memory)
        rows = torch.arange(len(x), device=x.device) if active is None else active.nonzero()[:, 0]
        kept = min(size, self.config.window)
        slots = positions[rows, -kept:] % self.config.window
        for (k, v), keys, values in zip(made, state.keys, state.values, strict=True):
            keys[rows[:, None], :, slots] = k[rows, :, -kept:].transpose(1, 2).to(keys.dtype)
            values[rows[:, None], :, slots] = v[rows, :, -kept:].transpose(1, 2).to(values.dtype)
        state.position[rows] += size
        return y

    def _aligned(
        self, x: Float[Tensor, "B S D"], state: TransformerState, first: int, memory: Remembered | None
    ) -> Float[Tensor, "B S D"]:
        """A step of rows that stand at the same place in windows that are not full yet: no copies, hardly a mask."""
        size = x.shape[1]
        last = first + size
        x = self.norm(x) if self.config.post else x
        rotation = self._rotation(torch.arange(first, last, device=x.device)[None])
        mask = None if size == 1 else torch.ones(size, last, dtype=torch.bool, device=x.device).tril(first)
        for index, (layer, keys, values) in enumerate(zip(self.layers, state.keys, state.values, strict=True)):
            q, k, v = layer.heads(x, rotation)
            keys[:, :, first:last] = k
            values[:, :, first:last] = v
            attended = F.scaled_dot_product_attention(
                q, keys[:, :, :last].to(q.dtype), values[:, :, :last].to(q.dtype), attn_mask=mask, enable_gqa=True
            )
            x = layer.rest(x, attended, None, memory and memory.of(index))
        state.position += size
        return x if self.config.post else self.norm(x)

    def look(
        self, x: Float[Tensor, "B S D"], state: TransformerState, depth: Int[Tensor, " S"], among: Bool[Tensor, "S S"]
    ) -> Float[Tensor, "B S D"]:
        """Several continuations at once, as a tree that leaves the state as it is.

        ``depth`` is how far behind the state a node stands, ``among`` which nodes (itself too) it comes from.
        """
        return self._run(x, state, state.position[:, None] + depth, among)[0]
