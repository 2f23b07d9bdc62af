"""A language model over a grid of tokens: R lanes side by side, one column after the other.

Text alone is a grid of one lane; codebooks, delayed codebooks and text beside audio are grids of several (see
`core.layout`). The lanes of a column are embedded and added, as in MusicGen (arXiv:2306.05284). The next column's lanes
are predicted at once, or one after the other by a small transformer that runs over the lanes (`depth`; Moshi,
arXiv:2410.00037 §3.4.1). Or the lanes are codes of one book in a row (`group`; VALL-E 2, arXiv:2406.05370 §3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import Timing
from vivavoce.models.groups import Groups
from vivavoce.nn.attention import Remembered
from vivavoce.nn.few import Linear
from vivavoce.nn.int8 import Int8Linear
from vivavoce.nn.lora import LoraConfig, add_lora
from vivavoce.nn.placed import place
from vivavoce.nn.transformer import TransformerConfig, TransformerState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLMConfig:
    """A trunk and the number of ids of each lane.

    ``tied``: input and output embeddings are one matrix. ``predicted`` lanes from the first on are scored (0: all);
    ``depth`` lets each of them see the ones before it, with ``depth_own`` by weights of its own. ``lora`` puts small
    maps beside the trunk's weights. With ``group`` the lanes are the places of a group of codes (`Groups`) and share
    one table, whose rows are the ids of lane 0; those of every other lane are ``fill`` and the last ids of lane 0.
    """

    trunk: TransformerConfig
    lanes: tuple[int, ...]
    tied: bool = True
    predicted: int = 0
    depth: TransformerConfig | None = None
    depth_own: bool = False
    lora: LoraConfig | None = None
    group: bool = False

    @property
    def rows(self) -> int:
        """Vectors in the table of embeddings."""
        return self.lanes[0] if self.group else sum(self.lanes)

    @property
    def ungrouped(self) -> int:
        """Ids of lane 0 that stand in no group: marks and text."""
        return self.lanes[0] - self.lanes[-1] + 1

    @property
    def scored(self) -> tuple[int, ...]:
        """Ids of the lanes that are predicted."""
        return self.lanes[: self.predicted or len(self.lanes)]

    def build(self) -> "StreamLM":
        """The module with fresh weights."""
        if self.depth is not None and self.depth.window < len(self.scored):
            raise ConfigError(f"a depth model over {len(self.scored)} lanes needs as wide a window, got {self.depth}")
        if self.group and (self.depth is not None or self.predicted or len(set(self.lanes[1:])) != 1):
            raise ConfigError(f"groups have two or more lanes, equal from the second on, all predicted, got {self}")
        return StreamLM(self)


class StreamLM(nn.Module):
    """Predicts the next column."""

    starts: Tensor

    def __init__(self, config: StreamLMConfig):
        super().__init__()
        self.config = config
        width = config.trunk.dim
        self.embed = _table(config, config.rows)
        self.trunk = config.trunk.build()
        if config.lora is not None:
            add_lora(self.trunk, config.lora)
        self.depth = Depth(config.depth, width, config.scored, config.depth_own) if config.depth is not None else None
        scores = config.rows if config.group else sum(config.scored)
        untied = not config.tied and self.depth is None
        self.out = _table(config, scores) if untied else None
        self.groups = Groups(width, len(config.lanes)) if config.group else None
        starts = [sum(config.lanes[:lane]) for lane in range(len(config.lanes))]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    @property
    def timing(self) -> Timing:
        """That of the trunk."""
        return self.trunk.timing

    def embedded(self, ids: Int[Tensor, "B R S"]) -> Float[Tensor, "B S D"]:
        """The sum of the lanes' embeddings, or the vectors of groups."""
        if self.groups is not None:
            return self.groups.joined(self._looked_up(self._in_table(ids)), ids[:, 0] >= self.config.ungrouped)
        return self._looked_up(ids + self.starts[:, None]).sum(1)

    def _looked_up(self, places: Int[Tensor, "B R S"]) -> Float[Tensor, "B R S D"]:
        return self.embed.rows(places) if isinstance(self.embed, Int8Linear) else F.embedding(places, self.embed)

    def _in_table(self, ids: Int[Tensor, "B R S"]) -> Int[Tensor, "B R S"]:
        """Rows of the table that groups share: a code's is the same on every lane."""
        shifted = torch.where(ids[:, 1:] > 0, ids[:, 1:] + self.config.ungrouped - 1, 0)
        return torch.cat((ids[:, :1], shifted), dim=1)

    def forward(self, ids: Int[Tensor, "B R S"], memory: Remembered | None = None) -> list[Float[Tensor, "B S _"]]:
        """Per predicted lane, scores of column s + 1 at column s, for whole grids padded at the end.

        A depth model sees the true ids of the lanes before; after the last column there are none. ``memory`` is what a
        trunk with cross-attention looks at.
        """
        hidden = self.trunk(self.embedded(ids), memory=memory)
        if self.depth is None:
            return self._scores(hidden)
        after = F.pad(ids[:, : len(self.config.scored) - 1, 1:], (0, 1)).transpose(1, 2)
        found = self.depth(hidden.flatten(0, 1), after.flatten(0, 1))
        return [lane.float().unflatten(0, hidden.shape[:2]) for lane in found]

    def scored(self, x: Float[Tensor, "B S D"]) -> list[Float[Tensor, "B S _"]]:
        """As `forward`, for vectors in place of ids: what is heard stands among the words."""
        return self._scores(self.trunk(x))

    def hidden(self, ids: Int[Tensor, "B R S"]) -> Float[Tensor, "B S D"]:
        """What the scores of the column after each are made of, for whole grids padded at the end."""
        return self.trunk(self.embedded(ids))

    def among(self, hidden: Float[Tensor, "N D"], places: Sequence[range]) -> Float[Tensor, "N V"]:
        """Scores of some ids of a model of one lane, by their places; the others are not computed."""
        weight = self.embed if self.out is None else self.out
        if isinstance(weight, Int8Linear):
            return torch.cat([weight(hidden)[:, ids.start : ids.stop] for ids in places], dim=-1).float()
        return F.linear(hidden, torch.cat([weight[ids.start : ids.stop] for ids in places])).float()

    def chosen(self, ids: Int[Tensor, " N"]) -> nn.Module:
        """What scores some ids of a model of one lane, and no others, [B, D] to [B, N]: to be made once and used often.

        It has its own copy of their weights; in 8 bits it is more exact than `scores`, which reads a table.
        """
        weight = self.embed if self.out is None else self.out
        if isinstance(weight, Int8Linear):
            return weight.chosen(ids)
        made = Linear(self.config.trunk.dim, len(ids), bias=False)
        made.weight = nn.Parameter(weight.detach()[ids], requires_grad=False)
        return made

    def init_state(self, rows: int, room: int | None = None) -> TransformerState:
        """Empty windows; ``room`` as in `Transformer.init_state`."""
        return self.trunk.init_state(rows, room)

    def read(
        self,
        ids: Int[Tensor, "B R S"],
        state: TransformerState,
        active: Bool[Tensor, " B"] | None = None,
        memory: Remembered | None = None,
    ) -> Float[Tensor, "B D"]:
        """Takes the next columns; gives what `scores` needs to know of all that was read."""
        return self.trunk.step(self.embedded(ids), state, active, memory)[:, -1]

    def scores(self, hidden: Float[Tensor, "B D"], lane: int, before: Int[Tensor, "B L"]) -> Float[Tensor, "B V"]:
        """Scores of a lane of the next column, whose earlier lanes hold ``before``."""
        if self.depth is not None:
            return self.depth(hidden, before)[-1].float()
        if self.groups is not None:
            return self._group_scores(self.groups.parted(hidden)[:, lane], lane)
        start = sum(self.config.scored[:lane])
        weight = self.embed if self.out is None else self.out
        if isinstance(weight, Int8Linear):
            return weight(hidden)[:, start : start + self.config.scored[lane]].float()
        return F.linear(hidden, weight[start : start + self.config.scored[lane]]).float()

    def look(
        self, ids: Int[Tensor, "B R S"], state: TransformerState, depth: Int[Tensor, " S"], among: Bool[Tensor, "S S"]
    ) -> list[Float[Tensor, "B S _"]]:
        """Scores after each node of a tree of continuations; the state stays as it is (see `Transformer.look`)."""
        return self._scores(self.trunk.look(self.embedded(ids), state, depth, among))

    def _group_scores(self, hidden: Float[Tensor, "*S D"], lane: int) -> Float[Tensor, "*S _"]:
        """Scores of one place of groups by the head that all places share."""
        weight = self.embed if self.out is None else self.out
        scores = (weight(hidden) if isinstance(weight, Int8Linear) else F.linear(hidden, weight)).float()
        return torch.cat((scores[..., :1], scores[..., self.config.ungrouped :]), dim=-1) if lane else scores

    def _scores(self, hidden: Float[Tensor, "B S D"]) -> list[Float[Tensor, "B S _"]]:
        if self.groups is not None:
            return [self._group_scores(one, lane) for lane, one in enumerate(self.groups.parted(hidden).unbind(-2))]
        weight, size = self.embed if self.out is None else self.out, sum(self.config.scored)
        scores = weight(hidden)[..., :size] if isinstance(weight, Int8Linear) else F.linear(hidden, weight[:size])
        return list(scores.float().split(self.config.scored, dim=-1))


def _table(config: StreamLMConfig, rows: int) -> nn.Parameter | Int8Linear:
    width = config.trunk.dim
    return Int8Linear(width, rows) if config.trunk.bits == 8 else nn.Parameter(torch.randn(rows, width) * 0.02)


class Depth(nn.Module):
    """The lanes of a column one after the other: each sees the trunk's vector and the ids of the lanes before it.

    Every lane has an entrance, an embedding and a head of its own. The layers between are shared, or each lane's own
    as in Moshi with ``own``.
    """

    starts: Tensor

    def __init__(self, config: TransformerConfig, width: int, lanes: tuple[int, ...], own: bool = False):
        super().__init__()
        self.lanes = lanes
        self.enter = nn.ModuleList(Linear(width, config.dim, bias=False) for _ in lanes)
        self.embed = nn.Parameter(torch.randn(sum(lanes[:-1]), config.dim) * 0.02)
        self.trunk = config.build()
        if own:
            place(self.trunk, len(lanes))
        self.heads = nn.ModuleList(Linear(config.dim, size, bias=False) for size in lanes)
        starts = [sum(lanes[:lane]) for lane in range(len(lanes) - 1)]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.long), persistent=False)

    def forward(self, hidden: Float[Tensor, "N D"], before: Int[Tensor, "N L"]) -> list[Float[Tensor, "N _"]]:
        """Scores of the lanes up to the one after ``before``."""
        count = before.shape[1]
        x = torch.stack([enter(hidden) for enter in self.enter[: count + 1]], dim=1)
        known = F.embedding(before + self.starts[:count], self.embed)
        y = self.trunk(x + F.pad(known, (0, 0, 1, 0)))
        return [head(y[:, lane]) for lane, head in enumerate(self.heads[: count + 1])]
