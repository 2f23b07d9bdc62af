"""Units: what is said as one id per frame, for language models that read and write speech.

A front (`models.features`, or any that codecs have) and a quantiser that gives one book: k-means (`nn.kmeans`) or
finite scalar quantisation (`nn.finite_scalar`). Units stream where their front does. Repeats can be taken out and put
back (`merged`, `spread`); what the ids are worth is measured by ``vivavoce eval tokens``.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.core.config import dump
from vivavoce.core.derived import Derived
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing
from vivavoce.core.streams import Stream, Tokens, Wave, alphabet_of
from vivavoce.models.features import ListenerLayerConfig
from vivavoce.models.front import FrontConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.kmeans import KMeansConfig

LONGEST_RUN = 64
"""Frames that one duration can tell of; longer runs become several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitsConfig:
    """Two parts; ``made_by`` says for people what the units are, as in ``k-means of listener layer 4``."""

    front: FrontConfig = ListenerLayerConfig()
    quantizer: KMeansConfig | FiniteScalarConfig = FiniteScalarConfig(dim=256)
    made_by: str = ""

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        return self.front.sample_rate

    @property
    def hop(self) -> int:
        """Samples per unit."""
        return self.front.hop

    @property
    def rate(self) -> Fraction:
        """Units per second."""
        return Fraction(self.sample_rate, self.hop)

    @property
    def wave(self) -> Wave:
        """The sound that goes in."""
        return Wave(sample_rate=self.sample_rate)

    @property
    def size(self) -> int:
        """How many units there are."""
        return self.quantizer.size

    def build(self) -> "Units":
        """The module; ConfigError when the parts do not fit each other."""
        if self.front.dim != self.quantizer.dim:
            front, book = self.front.dim, self.quantizer.dim
            raise ConfigError(f"the front gives vectors of {front}, the quantiser takes {book}; make them equal")
        return Units(self)


@final
class Units(nn.Module):
    """Front and quantiser; no sound comes back out of them alone."""

    def __init__(self, config: UnitsConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.front = config.front.build()
        self.quantizer = config.quantizer.build()
        self._alphabet: Derived[str] = Derived()

    @property
    def timing(self) -> Timing:
        """The front's; ConfigError for one that cannot be streamed."""
        return self.front.timing

    @property
    def tokens(self) -> Tokens:
        """The stream of units; its alphabet is the digest of all that decides the ids."""
        deciding = {f"front.{name}": value for name, value in self.front.state_dict().items()}
        deciding |= {f"quantizer.{name}": value for name, value in self.quantizer.deciding().items()}
        decided = [dump(self.config.front), dump(self.config.quantizer)]
        alphabet = self._alphabet.of(deciding.values(), lambda: alphabet_of("units", decided, deciding))
        return Tokens(name="units", alphabet=alphabet, size=self.config.size, rate=self.config.rate)

    @torch.no_grad()
    def features(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B D T"]:
        """What is quantised."""
        return self.front(pad(wave, (0, -wave.shape[1] % self.config.hop))[:, None])

    @torch.no_grad()
    def encode(self, wave: Stream[Wave]) -> Stream[Tokens]:
        """Sound of any length to units. SpecError for another rate."""
        wave = wave.expect(self.config.wave)
        hop = self.config.hop
        if wave.data.shape[2] == 0:
            empty = wave.data.new_zeros(len(wave.data), 1, 0).long()
            return Stream(self.tokens, empty, wave.lengths)
        ids = self.quantizer.encode(self.front(pad(wave.data, (0, -wave.data.shape[2] % hop))))
        return Stream(self.tokens, ids, (wave.lengths + hop - 1) // hop)

    def init_encode(self, rows: int) -> State:
        """Silence before the first sample."""
        return self.front.init_state(rows)

    @torch.no_grad()
    def encode_step(
        self, wave: Float[Tensor, "B N"], state: Any, active: Bool[Tensor, " B"] | None = None
    ) -> Int[Tensor, "B 1 T"]:
        """Units of the frames that end within these samples: a multiple of ``config.hop``, best of `timing`'s hop."""
        if wave.shape[1] % self.config.hop:
            raise SpecError(f"got {wave.shape[1]} samples, wanted a multiple of {self.config.hop}; buffer the rest")
        if not wave.shape[1]:  # fronts of several parts need something
            return torch.zeros(len(wave), 1, 0, dtype=torch.long, device=wave.device)
        return self.quantizer.encode(self.front.step(wave[:, None], state, active))


class Merged(NamedTuple):
    """Units without repeats, and for how many frames each was held: two streams without a clock."""

    units: Stream[Tokens]
    durations: Stream[Tokens]


def merged(units: Stream[Tokens], longest: int = LONGEST_RUN) -> Merged:
    """Takes repeats out of one book of units. Runs of more than ``longest`` frames become several.

    A duration's id is one less than its frames. `spread` is the inverse.
    """
    spec = units.spec
    if spec.books != 1:
        raise SpecError(f"repeats are taken out of one book, {spec.name!r} has {spec.books}; choose one with `part`")
    rows = [_runs(row[0, :length], longest) for row, length in zip(units.data, units.lengths.tolist(), strict=True)]
    lengths = torch.tensor([len(ids) for ids, _ in rows])
    most = int(lengths.max()) if len(rows) else 0
    ids, held = (
        torch.stack([pad(part, (0, most - len(part))) for part in column])[:, None]
        for column in zip(*rows, strict=True)
    )
    durations = Tokens(name="durations", alphabet=f"frames-{longest}", size=longest)
    return Merged(Stream(replace(spec, rate=None), ids, lengths), Stream(durations, held, lengths))


def _runs(ids: Int[Tensor, " T"], longest: int) -> tuple[Int[Tensor, " U"], Int[Tensor, " U"]]:
    """Ids and one less than their frames."""
    begins = torch.cat((torch.zeros(1, dtype=torch.long), (ids.diff() != 0).nonzero()[:, 0] + 1))[: len(ids)]
    cut = [at for a, b in pairwise([*begins.tolist(), len(ids)]) for at in range(a, b, longest)]
    places = torch.tensor([*cut, len(ids)], dtype=torch.long)
    return ids[places[:-1]].long(), places.diff() - 1


def spread(pair: Merged, rate: Fraction | None) -> Stream[Tokens]:
    """Units with their repeats again, on the clock that they came from. SpecError for streams that do not belong."""
    units, durations = pair
    if not torch.equal(units.lengths, durations.lengths) or not durations.spec.alphabet.startswith("frames-"):
        raise SpecError(f"got {units.spec} with {durations.spec}, wanted units and as many durations")
    rows = [
        row[0, :length].repeat_interleave(held[0, :length] + 1)
        for row, held, length in zip(units.data, durations.data, units.lengths.tolist(), strict=True)
    ]
    lengths = torch.tensor([len(row) for row in rows])
    most = int(lengths.max()) if len(rows) else 0
    data = torch.stack([pad(row, (0, most - len(row))) for row in rows])[:, None]
    return Stream(replace(units.spec, rate=rate), data, lengths)
