"""A bridge from frames of sound to vectors that stand among the words of a language model.

A Q-Former looks at windows of the frames of one or two encoders (SALMONN, arXiv:2310.13289 §3.1). Two things may be
added. Layers that look both ways along its vectors let windows that are shorter than a word know of each other. And a
bridge can spell: its vectors are scored against the language model's own embeddings of pieces of words, with a blank
beside them, which CTC teaches without the language model. Then what it hands over is the embedding that it expects, one
vector for a run of the same piece and none where nothing is said (as arXiv:2102.01578 shortens by CTC), and beside it
what it learns later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import Latents
from vivavoce.nn.qformer import WindowQFormerConfig
from vivavoce.nn.transformer import TransformerConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingConfig:
    """The first ``pieces`` ids of the text are spelled with; vectors that are blank with more than the probability
    ``blank`` are dropped."""

    pieces: int = 1500
    blank: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """``width`` is that of the language model; ``context`` are the layers along the Q-Former's vectors, if any."""

    first: Latents
    second: Latents | None
    width: int
    windows: WindowQFormerConfig
    context: TransformerConfig | None = None
    spelling: SpellingConfig | None = None

    @property
    def frame(self) -> int:
        """Width of the frames of both side by side."""
        return self.first.dim + (0 if self.second is None else self.second.dim)

    def build(self) -> "Bridge":
        """The module with fresh weights; ConfigError for widths that do not fit and frames without a clock."""
        if self.first.rate is None or (self.second is not None and self.second.rate is None):
            raise ConfigError("the frames of both encoders need a clock")
        if self.windows.trunk.memory != self.frame:
            raise ConfigError(
                f"frames of {self.frame} stand side by side, the Q-Former looks at {self.windows.trunk.memory}; make "
                "them equal"
            )
        if self.context is not None and (self.context.causal or self.context.dim != self.windows.trunk.dim):
            raise ConfigError(f"the layers behind a Q-Former look both ways and are as wide, got {self.context}")
        return Bridge(self)


class Bridged(NamedTuple):
    """``counts`` vectors of each row; with a bridge that spells its log-probabilities, blank first, and how many of
    them are of sound."""

    vectors: Float[Tensor, "B Q W"]
    counts: Int[Tensor, " B"]
    scores: Float[Tensor, "B P V"] | None = None
    lengths: Int[Tensor, " B"] | None = None


@final
class Bridge(nn.Module):
    """The part ``bridge``."""

    def __init__(self, config: BridgeConfig) -> None:
        """A bridge that spells is given the language model's embeddings by `Spelling.begin`."""
        super().__init__()
        self.config = config
        self.first_norm = nn.LayerNorm(config.first.dim)
        self.second_norm = None if config.second is None else nn.LayerNorm(config.second.dim)
        self.qformer = config.windows.build()
        self.context = None if config.context is None else config.context.build()
        dim = config.windows.trunk.dim
        self.project = nn.Linear(dim, config.width) if config.spelling is None else None
        self.spelling = None if config.spelling is None else Spelling(config.spelling, dim, config.width)

    def forward(
        self,
        first: Float[Tensor, "B T D"],
        second: Float[Tensor, "B U E"] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
    ) -> Bridged:
        """Frames as vectors among words; ``lengths`` counts those of the first encoder that are sound, all if None."""
        x, counts = self._looked(first, second, lengths)
        if self.spelling is None:
            assert self.project is not None
            return Bridged(self.project(x), counts)
        scores = self.spelling(x)
        vectors, kept = self.spelling.handed(x, scores, counts)
        return Bridged(vectors, kept, scores, counts)

    def spelled(
        self,
        first: Float[Tensor, "B T D"],
        second: Float[Tensor, "B U E"] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B P V"], Int[Tensor, " B"]]:
        """The log-probabilities alone, and how many of each row are of sound. ConfigError where it does not spell."""
        if self.spelling is None:
            raise ConfigError("this bridge does not spell; train one with `vivavoce train bridge`")
        x, counts = self._looked(first, second, lengths)
        return self.spelling(x), counts

    def _looked(
        self, first: Tensor, second: Tensor | None, lengths: Tensor | None
    ) -> tuple[Float[Tensor, "B P D"], Int[Tensor, " B"]]:
        frames = self.first_norm(first)
        if second is not None:
            frames = self._beside(frames, second)
        x = self.qformer(frames)
        if lengths is None:
            counts = torch.full((len(x),), x.shape[1], device=x.device)
        else:
            counts = (lengths // self.config.windows.window).clamp(min=1, max=x.shape[1])
        if self.context is not None:
            x = self.context(x, valid=torch.arange(x.shape[1], device=x.device) < counts[:, None])
        return x, counts

    def _beside(self, frames: Float[Tensor, "B T D"], second: Float[Tensor, "B U E"]) -> Float[Tensor, "B R F"]:
        """Both side by side; those of the second are brought to the clock of the first."""
        assert self.second_norm is not None and self.config.second is not None
        rates = self.config.first.rate, self.config.second.rate
        assert rates[0] is not None and rates[1] is not None
        size = max(frames.shape[1], int(second.shape[1] * rates[0] / rates[1]))
        places = ((torch.arange(size, device=second.device) + 0.5) * float(rates[1] / rates[0])).long()
        own = self.second_norm(second)[:, places.clamp(max=second.shape[1] - 1)]
        own = own * (places < second.shape[1])[:, None]
        return torch.cat((F.pad(frames, (0, 0, 0, size - frames.shape[1])), own), dim=-1)


@final
class Spelling(nn.Module):
    """Vectors as pieces of words, and as what stands for them among words."""

    table: Tensor

    def __init__(self, config: SpellingConfig, dim: int, width: int) -> None:
        """Without embeddings; `begin` puts them there."""
        super().__init__()
        self.config = config
        self.enter = nn.Linear(dim, width)
        self.blank = nn.Parameter(torch.zeros(width))
        self.bias = nn.Parameter(torch.zeros(config.pieces + 1))
        self.beside = nn.Linear(dim, width, bias=False)
        nn.init.zeros_(self.beside.weight)
        self.register_buffer("table", torch.zeros(config.pieces, width))

    @torch.no_grad()
    def begin(self, embedded: Float[Tensor, "V W"]) -> None:
        """Takes the embeddings of its pieces from those of all ids; ConfigError when there are not so many."""
        if len(embedded) < len(self.table):
            raise ConfigError(f"the text has {len(embedded)} ids, the bridge spells with {len(self.table)}")
        self.table.copy_(embedded[: len(self.table)])

    def forward(self, x: Float[Tensor, "B P D"]) -> Float[Tensor, "B P V"]:
        """Log-probabilities, the blank's first.

        What all embeddings have in common tells none from another, and some are longer than others: both are left out.
        """
        apart = F.normalize(self.table - self.table.mean(0), dim=-1)
        keys = torch.cat((self.blank[None], apart.to(self.blank.dtype)))
        return F.log_softmax(F.linear(self.enter(x), keys, self.bias).float(), dim=-1)

    def handed(
        self, x: Float[Tensor, "B P D"], scores: Float[Tensor, "B P V"], counts: Int[Tensor, " B"]
    ) -> tuple[Float[Tensor, "B Q W"], Int[Tensor, " B"]]:
        """The vectors that stand among words, and how many each row has."""
        said = scores[..., 1:]
        best = said.argmax(-1)
        loud = 1 - scores[..., 0].exp()
        kept = (loud > 1 - self.config.blank) & (torch.arange(x.shape[1], device=x.device) < counts[:, None])
        goes_on = F.pad(kept[:, :-1] & (best[:, 1:] == best[:, :-1]), (1, 0))
        begins = kept & ~goes_on
        place = begins.long().cumsum(1) - 1
        rows, columns = kept.nonzero(as_tuple=True)
        weight = loud[rows, columns, None]
        expected = said[rows, columns].softmax(-1).to(self.table.dtype) @ self.table + self.beside(x[rows, columns])
        expected = expected.to(weight.dtype)  # products of a half-precision pass are narrower than its scores
        made = begins.sum(1)
        shape = len(x), max(int(made.max()), 1)
        where = rows, place[rows, columns]
        sums = expected.new_zeros(*shape, expected.shape[-1]).index_put(where, expected * weight, accumulate=True)
        weights = weight.new_zeros(*shape, 1).index_put(where, weight, accumulate=True)
        return sums / weights.clamp(min=1e-8), made

    @staticmethod
    def greedy(scores: Float[Tensor, "B P V"], counts: Int[Tensor, " B"]) -> list[list[int]]:
        """The ids of the likeliest piece after piece."""
        found = []
        for row, count in zip(scores.argmax(-1), counts.tolist(), strict=True):
            ids = torch.unique_consecutive(row[:count])
            found.append([id - 1 for id in ids.tolist() if id])
        return found


def window_of(seconds: float, rate: float) -> int:
    """Frames that go into one vector."""
    return max(1, round(seconds * rate))


def spelled_rows(rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "B S"], Int[Tensor, " B"]]:
    """Pieces as CTC takes them: one higher, as the blank is 0, filled up with it; and how many there are."""
    counts = torch.tensor([len(row) for row in rows])
    made = [torch.tensor(row, dtype=torch.long) + 1 for row in rows]
    return nn.utils.rnn.pad_sequence(made, batch_first=True), counts
