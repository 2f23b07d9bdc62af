"""One vocabulary made of several alphabets; the only place where offsets are added.

A language model that reads text, units and marks needs them in one range of ids. `Vocab` lays the alphabets end to end
and translates both ways; an id that belongs to another alphabet is an error and never a wrong token.
"""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

from vivavoce.core.errors import ConfigError, SpecError


@dataclass(frozen=True, slots=True)
class Vocab:
    """Named alphabets and their sizes, in order."""

    parts: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        """Refuses names that occur twice and alphabets without ids."""
        names = [name for name, _ in self.parts]
        if len(set(names)) != len(names) or any(size < 1 for _, size in self.parts):
            raise ConfigError(f"a vocabulary needs different names and sizes of at least 1, got {self.parts}")

    @property
    def size(self) -> int:
        """Ids in all."""
        return sum(size for _, size in self.parts)

    def range(self, name: str) -> range:
        """The ids of one alphabet."""
        start = 0
        for known, size in self.parts:
            if known == name:
                return range(start, start + size)
            start += size
        raise SpecError(f"no alphabet {name!r} in this vocabulary; it has {', '.join(n for n, _ in self.parts)}")

    def id(self, name: str, local: int = 0) -> int:
        """The id of one symbol of an alphabet."""
        ids = self.range(name)
        if not 0 <= local < len(ids):
            raise SpecError(f"symbol {local} of {name!r}, which has {len(ids)}")
        return ids[local]

    def join(self, name: str, local: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
        """Symbols of an alphabet as ids of this vocabulary."""
        ids = self.range(name)
        if local.numel() and not (int(local.min()) >= 0 and int(local.max()) < len(ids)):
            raise SpecError(f"symbols {int(local.min())}..{int(local.max())} of {name!r}, which has {len(ids)}")
        return local + ids.start

    def split(self, name: str, ids: Int[Tensor, "*S"]) -> Int[Tensor, "*S"]:
        """The inverse of `join`; SpecError for ids of other alphabets."""
        own = self.range(name)
        if ids.numel() and not (own.start <= int(ids.min()) and int(ids.max()) < own.stop):
            raise SpecError(f"ids {int(ids.min())}..{int(ids.max())}, but {name!r} has {own.start}..{own.stop - 1}")
        return ids - own.start

    def name(self, id: int) -> str:
        """The alphabet that an id belongs to."""
        for known, _ in self.parts:
            if id in self.range(known):
                return known
        raise SpecError(f"id {id} is outside the vocabulary of {self.size}")
