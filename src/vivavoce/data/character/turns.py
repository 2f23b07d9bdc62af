"""Turns of a conversation, and how a sheet's templates are worded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from vivavoce.data.orders import Order, OrderCall, Orders
from vivavoce.data.sheet import Sheet
from vivavoce.data.templates import fill, pick
from vivavoce.text.normalise import normalise
from vivavoce.text.numbers import cardinal

HEARD: Final = ("rate", "pitch", "loudness")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTurn:
    """One exchange: the user's normalised words, the reply, and what else the reply does.

    ``heard`` is what the listener measured of the voice where the reply tells it (rate, pitch, loudness); ``style`` the
    description that the character speaks like from now on; ``cut`` the words of the reply that the user heard before
    """

    kind: str
    user: str
    reply: str
    calls: tuple[OrderCall, ...] = ()
    heard: tuple[str, str, str] | None = None
    style: str | None = None
    cut: int | None = None

    @property
    def kept(self) -> str:
        """The part of the reply that history keeps."""
        return self.reply if self.cut is None else " ".join(self.reply.split()[: self.cut])


@dataclass(frozen=True, slots=True)
class Dialogue:
    """Turns that follow each other; each reply may use all that came before."""

    turns: tuple[ScriptedTurn, ...]


@dataclass(slots=True)
class Standing:
    """What the character remembers while a dialogue is made."""

    turns: list[ScriptedTurn]
    orders: list[Order]


@dataclass(frozen=True, slots=True)
class Wording:
    """A sheet's sentences, and its orders."""

    sheet: Sheet
    orders: Orders

    def asked(self, ask: str, reply: str, names: Mapping[str, str], draw: np.random.Generator) -> ScriptedTurn:
        """A question of the sheet and one of its replies."""
        said = fill(pick(self.sheet.texts("ask", ask), draw), names, draw)
        return ScriptedTurn(kind=ask, user=heard(said), reply=self.reply(reply, names, draw))

    def reply(self, name: str, values: Mapping[str, str], draw: np.random.Generator) -> str:
        """One of the replies of this name."""
        return sentence_case(fill(pick(self.sheet.texts("replies", name), draw), values, draw))

    def money(self, amount: int) -> str:
        """An amount of money in words."""
        one, many = self.sheet.texts("prices", "currency")
        return f"{' '.join(cardinal(amount))} {one if amount == 1 else many}"


Kind = Callable[[Wording, Standing, np.random.Generator], ScriptedTurn | None]
"""Draws one turn after what stands; None where the sheet has nothing of the kind, or where it does not fit."""
Kinds = tuple[tuple[float, Kind], ...]


def heard(text: str) -> str:
    """What a listener would write of spoken words."""
    return " ".join(normalise(text))


def sentence_case(text: str) -> str:
    """A capital at the start of each sentence, and for the word I."""
    made: list[str] = []
    start = True
    for token in text.split(" "):
        made.append(token[:1].upper() + token[1:] if start or token in {"i", "i'm", "i'll", "i'd", "i've"} else token)
        start = token.endswith((".", "?", "!"))
    return " ".join(made)
