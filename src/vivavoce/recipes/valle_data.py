"""What VALL-E's two models learn from: the utterances of a token corpus as grids, and book by book."""

from collections.abc import Sequence
from functools import cached_property
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from vivavoce.core.layout import Grid, Layout
from vivavoce.data.tokens import TokenCorpus
from vivavoce.recipes.token_lm import some
from vivavoce.train.tasks.book import BookBatch
from vivavoce.train.tasks.grid import GridBatch, collate


@final
class ValleData:
    """Batches of a corpus's first ``books``; what was read once is kept."""

    def __init__(self, corpus: TokenCorpus, layout: Layout, books: int, prompt_seconds: float) -> None:
        """``layout`` is that of the first book; a prompt lasts at most so long."""
        self.corpus, self.layout, self.books = corpus, layout, books
        self.longest = int(prompt_seconds * float(corpus.spec("codes").rate or 1))
        self._items: dict[int, dict[str, Tensor]] = {}
        self._grids: dict[int, Grid] = {}

    @cached_property
    def dev(self) -> Sequence[int]:
        """Held-out utterances of all lengths, none where there is no dev."""
        return some(sorted(self.corpus.of("dev"), key=lambda index: self.corpus.utterances[index].seconds))

    def items(self, index: int) -> dict[str, Tensor]:
        """Phones and codes of an utterance."""
        if index not in self._items:
            found = self.corpus.items(index)
            self._items[index] = {"phones": found["phones"], "codes": found["codes"][: self.books]}
        return self._items[index]

    def grid(self, index: int) -> Grid:
        """An utterance as the first model reads it."""
        if index not in self._grids:
            items = self.items(index)
            first = self.layout.segments[-1].whole(items["codes"][:1])
            self._grids[index] = self.layout.pack({**items, "codes": first})
        return self._grids[index]

    def seconds(self, indices: Sequence[int]) -> float:
        """How long utterances last together."""
        return sum(self.corpus.utterances[index].seconds for index in indices)

    def first(self, indices: Sequence[int], _: np.random.Generator) -> GridBatch:
        """A batch for the first book."""
        return collate([self.grid(index) for index in indices], seconds=self.seconds(indices))

    def rest(self, indices: Sequence[int], draw: np.random.Generator) -> BookBatch:
        """A batch for the others: a stage and a prompt are drawn for each utterance."""
        most = [self._most(index) for index in indices]
        prompts = [int(draw.integers(one + 1)) for one in most]
        return self._books(indices, prompts, draw.integers(1, self.books, len(indices)).tolist())

    def held(self, stage: int) -> BookBatch:
        """All of dev at one stage, after prompts that are as long as they may be."""
        return self._books(self.dev, [self._most(index) for index in self.dev], [stage] * len(self.dev))

    def _most(self, index: int) -> int:
        """The longest prompt of an utterance."""
        return min(self.longest, self.items(index)["codes"].shape[1] // 2)

    def _books(self, indices: Sequence[int], prompts: Sequence[int], stages: Sequence[int]) -> BookBatch:
        items = [self.items(index) for index in indices]
        text, codes = [one["phones"][0] for one in items], [one["codes"] for one in items]
        frames = [one.shape[1] for one in codes]
        return BookBatch(
            nn.utils.rnn.pad_sequence(text, batch_first=True),
            torch.tensor([len(row) for row in text]),
            torch.stack([nn.functional.pad(one, (0, max(frames) - one.shape[1])) for one in codes]),
            torch.tensor(frames),
            torch.tensor(prompts),
            torch.tensor(stages),
            self.seconds(indices),
        )
