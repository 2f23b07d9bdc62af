"""What AudioLM's stages learn from: pieces of the utterances of a token corpus, each stage's own size."""

from collections.abc import Sequence
from typing import final

import numpy as np
from torch import Tensor

from vivavoce.core import rng
from vivavoce.core.layout import Grid
from vivavoce.data.tokens import TokenCorpus
from vivavoce.systems.audiolm import AudioLMConfig
from vivavoce.train.tasks.grid import GridBatch, collate


@final
class StagePieces:
    """Batches of one stage; utterances that fit into a piece are kept as they were packed."""

    def __init__(
        self, corpus: TokenCorpus, chosen: Sequence[int], config: AudioLMConfig, stage: int, *, seconds: float,
        rows: int, seed: int,
    ) -> None:  # fmt: skip
        """Pieces of ``seconds`` at most, ``rows`` of them in a batch."""
        self.corpus, self.chosen, self.config = corpus, chosen, config
        self.stage, self.seconds, self.rows, self.seed = stage, seconds, min(rows, len(chosen)), seed
        self._kept: dict[int, Grid] = {}

    def __call__(self, step: int) -> GridBatch:
        """The batch of a step."""
        draw = rng.stream(self.seed, "audiolm", self.stage, step)
        chosen = draw.choice(self.chosen, self.rows, replace=False)
        seconds = sum(min(self.corpus.utterances[int(index)].seconds, self.seconds) for index in chosen)
        return collate([self._piece(int(index), draw) for index in chosen], seconds=seconds)

    def begun(self, indices: Sequence[int]) -> list[Grid]:
        """Utterances from their beginning."""
        return [self._piece(index, None) for index in indices]

    def _piece(self, index: int, draw: np.random.Generator | None) -> Grid:
        if self.corpus.utterances[index].seconds > self.seconds:
            return cropped(self.config, self.corpus.items(index), self.stage, self.seconds, draw)
        if index not in self._kept:  # there is only one way to cut it
            self._kept[index] = cropped(self.config, self.corpus.items(index), self.stage, self.seconds)
        return self._kept[index]


def cropped(
    config: AudioLMConfig,
    items: dict[str, Tensor],
    stage: int,
    most: float,
    draw: np.random.Generator | None = None,
) -> Grid:
    """A piece of an utterance of at most so many seconds, from a drawn place (its beginning without ``draw``), as a
    stage reads it.

    A crop ends like an utterance only where the utterance ends.
    """
    seconds = config.seconds_of(items)
    size = min(most, seconds)
    begin = 0.0 if draw is None else float(draw.random()) * (seconds - size)
    grid = config.grid(stage, config.piece(items, begin, size))
    if stage == 0 and begin + size < seconds - 1 / float(config.units.rate or 1):
        grid.target[:, -1] = False
    return grid
