"""A language model over a grid of tokens: R lanes side by side, one column after the other.

Text alone is a grid of one lane; codebooks, delayed codebooks and text beside audio are grids of several (see
`core.layout`). The lanes of a column are embedded and added, as in MusicGen (arXiv:2306.05284) and Moshi
(arXiv:2410.00037).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.streaming import Timing
from vivavoce.nn.transformer import TransformerConfig, TransformerState


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLMConfig:
    """A trunk and the number of ids of each lane; input and output embeddings are one matrix."""

    trunk: TransformerConfig
    lanes: tuple[int, ...]

    @property
    def size(self) -> int:
        """Width of the logits: ids of the largest lane."""
        return max(self.lanes)

    def build(self) -> "StreamLM":
        """The module with fresh weights."""
        return StreamLM(self)


class StreamLM(nn.Module):
    """Predicts the next column; ids that a lane does not have get minus infinity."""

    starts: Tensor

    def __init__(self, config: StreamLMConfig):
        super().__init__()
        self.config = config
        self.embed = nn.Parameter(torch.randn(sum(config.lanes), config.trunk.dim) * 0.02)
        self.trunk = config.trunk.build()
        starts = [sum(config.lanes[:lane]) for lane in range(len(config.lanes))]
        self.register_buffer("starts", torch.tensor(starts), persistent=False)

    @property
    def timing(self) -> Timing:
        """That of the trunk."""
        return self.trunk.timing

    def embedded(self, ids: Int[Tensor, "B R S"]) -> Float[Tensor, "B S D"]:
        """The sum of the lanes' embeddings."""
        return F.embedding(ids + self.starts[:, None], self.embed).sum(1)

    def logits(self, hidden: Float[Tensor, "B S D"]) -> Float[Tensor, "B R S V"]:
        """Scores of the next column, lane by lane."""
        scores = F.linear(hidden, self.embed).float().split(self.config.lanes, dim=-1)
        size = self.config.size
        return torch.stack([F.pad(lane, (0, size - lane.shape[-1]), value=-torch.inf) for lane in scores], dim=1)

    def forward(self, ids: Int[Tensor, "B R S"]) -> Float[Tensor, "B R S V"]:
        """Scores of column s + 1 at column s, for whole grids padded at the end."""
        return self.logits(self.trunk(self.embedded(ids)))

    def init_state(self, rows: int) -> TransformerState:
        """Empty windows."""
        return self.trunk.init_state(rows)

    def step(
        self, ids: Int[Tensor, "B R S"], state: TransformerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B R S V"]:
        """Takes the next columns and scores what follows each of them."""
        return self.logits(self.trunk.step(self.embedded(ids), state, active))

    def last(self, ids: Int[Tensor, "B R S"], state: TransformerState) -> Float[Tensor, "B R V"]:
        """As `step`, but scores only what follows the last column."""
        return self.logits(self.trunk.step(self.embedded(ids), state)[:, -1:])[:, :, 0]

    def look(
        self, ids: Int[Tensor, "B R S"], state: TransformerState, depth: Int[Tensor, " S"], among: Bool[Tensor, "S S"]
    ) -> Float[Tensor, "B R S V"]:
        """Scores after each node of a tree of continuations; the state stays as it is (see `Transformer.look`)."""
        return self.logits(self.trunk.look(self.embedded(ids), state, depth, among))
