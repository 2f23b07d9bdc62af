"""A language model of text as the trunk of a language model of tokens: its vocabulary grows by the rest of a layout.

The new rows are zero (AudioPaLM, arXiv:2306.12925 §3.1): right after growing, the scores of text are what they were,
and those of marks and units are 0 everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Layout
from vivavoce.core.streams import Tokens
from vivavoce.models.lm import StreamLM, StreamLMConfig


@runtime_checkable
class ChatText(Protocol):
    """The text side of a chat model (`hub.chat_text`): ids of text, and what its conversations look like."""

    @property
    def tokens(self) -> Tokens:
        """The stream of its ids."""
        ...

    @property
    def ends(self) -> frozenset[int]:
        """The ids that end a turn."""
        ...

    @property
    def hole(self) -> str:
        """What stands in a message for something that is no text."""
        ...

    def around(self, messages: list[Any]) -> list[list[int]]:
        """A conversation up to where its answer begins, as ids: the pieces around every `hole` in its messages."""
        ...

    def plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is special."""
        ...

    def words_spelled(self, below: int) -> dict[int, list[int]]:
        """Every token of plain words in lower case, and how it is spelled in ids below a number."""
        ...

    def read(self, ids: list[int]) -> str:
        """The text of ids."""
        ...


def without_holes(text: ChatText, messages: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Messages as people wrote them, in which nothing is taken for the place of something that is no text."""
    return [{**message, "content": message["content"].replace(text.hole, " ")} for message in messages]


def text_rows(layout: Layout, text: Tokens) -> range:
    """Where the ids of text stand in a layout of one lane; SpecError for a layout of several."""
    if len(layout.vocabs) != 1:
        raise SpecError(
            f"a language model of text writes one lane, this layout has {len(layout.vocabs)}; use flat ones"
        )
    return layout.vocabs[0].range(f"{text.alphabet}:{text.first_book}")


def grown_config(known: StreamLMConfig, layout: Layout) -> StreamLMConfig:
    """The configuration of a text model with the vocabulary of a layout, in 32 bits."""
    return StreamLMConfig(trunk=known.trunk, lanes=layout.sizes, tied=known.tied)


@torch.no_grad()
def grow(known: StreamLM, layout: Layout, text: Tokens) -> StreamLM:
    """A copy of a text model that reads and writes a layout in which its text is ``text``.

    Raises SpecError when the text has more ids than the model knows; ids that no text has are left out.
    """
    rows = text_rows(layout, text)
    if len(rows) > known.config.lanes[0]:
        raise SpecError(f"the text has {len(rows)} ids, the language model knows {known.config.lanes[0]}; they differ")
    model: StreamLM = grown_config(known.config, layout).build()
    state = dict(known.state_dict())
    for name in ("embed", "out") if known.out is not None else ("embed",):
        table = torch.zeros(layout.sizes[0], known.config.trunk.dim)
        table[rows.start : rows.stop] = state[name][: len(rows)]
        state[name] = table
    model.load_state_dict(state)
    return model.train(known.training)
