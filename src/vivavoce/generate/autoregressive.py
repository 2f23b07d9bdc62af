"""Left to right: grids column by column under a layout, and lines of text one piece at a time."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.core.layout import Layout
from vivavoce.generate.samplers import Sampler
from vivavoce.models.lm import StreamLM
from vivavoce.nn.transformer import TransformerState

Uniforms = Callable[[], float]
"""Gives the next number in [0, 1); a conversation owns one, so its replies depend on nothing else."""
_HISTORY = 64


def autoregressive(
    model: StreamLM,
    layout: Layout,
    prefix: Int[Tensor, "R S"],
    sampler: Sampler,
    uniforms: Uniforms,
    *,
    columns: int,
    finished: Callable[[Int[Tensor, "R _"]], bool] = lambda made: False,
) -> Int[Tensor, "R _"]:
    """The prefix and the columns that follow it, until ``columns`` in all or ``finished``.

    Each lane may take only the ids that the layout calls legal there, so that the result always unpacks.
    """
    made = prefix
    with torch.inference_mode():
        state = model.init_state(1)
        new = prefix
        while made.shape[1] < columns and not finished(made):
            scores = model.last(new[None], state)[0]
            column = []
            for lane, allowed in enumerate(layout.legal(made.shape[1])):
                mask = torch.ones(scores.shape[-1], dtype=torch.bool)
                for ids in allowed:
                    mask[ids.start : ids.stop] = False
                masked = scores[lane : lane + 1].masked_fill(mask, -torch.inf)
                uniform = torch.tensor([uniforms()])
                column.append(sampler(masked, uniform, made[lane : lane + 1, -_HISTORY:]))
            new = torch.stack(column)
            made = torch.cat((made, new), dim=1)
    return made


class Line:
    """A text being written on one row of a model with a single lane.

    What is pushed is read when the next question is asked, so that forced pieces cost one pass together.
    """

    def __init__(self, model: StreamLM, state: TransformerState, scores: Float[Tensor, " V"] | None = None):
        self.model = model
        self.state = state
        self.scores_now = scores
        self.waiting: list[int] = []
        self.written: list[int] = []

    def copy(self) -> "Line":
        """An independent line that goes on from here."""
        other = Line(self.model, self.state.clone(), self.scores_now)
        other.waiting, other.written = list(self.waiting), list(self.written)
        return other

    def push(self, ids: Sequence[int]) -> None:
        """Appends these ids."""
        self.waiting += ids
        self.written += ids

    @torch.inference_mode()
    def scores(self) -> Float[Tensor, " V"]:
        """Logits of the next id."""
        if self.waiting or self.scores_now is None:
            self.scores_now = self.model.last(torch.tensor([[self.waiting]]), self.state)[0, 0]
            self.waiting = []
        return self.scores_now

    @torch.inference_mode()
    def branches(self, options: Sequence[Sequence[int]]) -> Float[Tensor, " O"]:
        """Log-probabilities of whole continuations, from one pass over the tree that they make; the line stays."""
        first = self.scores().log_softmax(-1)
        nodes: dict[tuple[int, ...], int] = {}
        for option in options:
            for size in range(1, len(option)):
                nodes.setdefault(tuple(option[:size]), len(nodes))
        after = first[None]
        if nodes:
            among = torch.zeros(len(nodes), len(nodes), dtype=torch.bool)
            for path, node in nodes.items():
                for size in range(1, len(path) + 1):
                    among[node, nodes[path[:size]]] = True
            ids = torch.tensor([[[path[-1] for path in nodes]]])
            depth = torch.tensor([len(path) - 1 for path in nodes])
            after = self.model.look(ids, self.state, depth, among)[0, 0].log_softmax(-1)
        found = []
        for option in options:
            score = torch.zeros(())
            for size, id in enumerate(option):
                score = score + (first[id] if size == 0 else after[nodes[tuple(option[:size])], id])
            found.append(score)
        return torch.stack(found)

    def take(self, sampler: Sampler, uniforms: Uniforms, allowed: Tensor) -> int:
        """Chooses the next of the allowed ids (a boolean mask over the vocabulary) and pushes it."""
        scores = self.scores().masked_fill(~allowed, -torch.inf)[None]
        history = torch.tensor([self.written[-_HISTORY:]], dtype=torch.long)
        chosen = int(sampler(scores, torch.tensor([uniforms()]), history))
        self.push([chosen])
        return chosen
