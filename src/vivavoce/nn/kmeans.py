"""k-means that a tokenizer keeps: frames to the number of the nearest of K centres.

Mini-batch k-means (Sculley, WWW 2010) as HuBERT's units are fitted (arXiv:2106.07447 §III): several starts on a sample
of frames, the best one gone on with, and centres that nobody chooses begun anew. Features are brought to zero mean and
unit variance first, and both are kept with the centres, as is what the features are: without them ids mean nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import alphabet_of
from vivavoce.nn.quantize import nearest

_FLAT: Final = 1e-5
"""The least deviation of a feature; what never changes says nothing and stays as it is."""
_MOST_SEEN: Final = 1 << 16
"""Frames that one distance table is made of at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KMeansConfig:
    """K centres of vectors of ``dim`` numbers; ``features`` says what the vectors are, as in ``listener layer 3``."""

    dim: int
    size: int
    features: str = ""

    @property
    def books(self) -> int:
        """One."""
        return 1

    def build(self) -> "KMeans":
        """The module; ConfigError for fewer than two centres."""
        if self.dim < 1 or self.size < 2:
            raise ConfigError(f"k-means needs vectors and at least two centres, got {self}")
        return KMeans(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How centres are found.

    Each of ``starts`` is begun on ``begun_on`` frames per centre and followed for ``trial_steps`` batches; the one
    with the least error on held-out frames is gone on with. A centre whose share of the last ``settle`` batches is
    below ``dead_below`` of an even share is moved to a frame that is far from all centres. ``scaled`` brings each
    number to one spread first; without it distances are those of the features themselves.
    """

    starts: int = 5
    plus_plus: bool = True
    begun_on: int = 12
    trial_steps: int = 20
    steps: int = 200
    batch: int = 8192
    settle: int = 20
    dead_below: float = 0.01
    scaled: bool = True
    seed: int = 1


@final
class KMeans(nn.Module):
    """Vectors to ids; see the file's text."""

    mean: Tensor
    deviation: Tensor
    centers: Tensor

    def __init__(self, config: KMeansConfig) -> None:
        """Centres at 0, to be filled by `fit` or from a file."""
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.dim))
        self.register_buffer("deviation", torch.ones(config.dim))
        self.register_buffer("centers", torch.zeros(config.size, config.dim))

    @property
    def alphabet(self) -> str:
        """The digest of all that decides the ids of a vector."""
        return alphabet_of("kmeans", dump(self.config), self.state_dict())

    def normalize(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Features as the centres know them. SpecError for vectors of another width."""
        if x.shape[-1] != self.config.dim:
            raise SpecError(
                f"got vectors of {x.shape[-1]} numbers, wanted {self.config.dim} ({self.config.features or 'k-means'})"
            )
        return (x - self.mean) / self.deviation

    def forward(self, x: Float[Tensor, "*B D"]) -> Int[Tensor, "*B"]:
        """The number of the nearest centre."""
        flat = self.normalize(x).reshape(-1, self.config.dim)
        return torch.cat([nearest(piece, self.centers) for piece in flat.split(_MOST_SEEN)]).reshape(x.shape[:-1])

    def encode(self, x: Float[Tensor, "B D T"]) -> Int[Tensor, "B 1 T"]:
        """The same, as other quantisers are asked."""
        return self(x.transpose(1, 2))[:, None]

    def decode(self, codes: Int[Tensor, "B K T"]) -> Float[Tensor, "B D T"]:
        """The centres, as features. SpecError for more books than the only one."""
        if codes.shape[1] != 1:
            raise SpecError(f"got {codes.shape[1]} books, wanted the only one")
        return self.vectors(codes[:, 0]).transpose(1, 2)

    def deciding(self) -> dict[str, Tensor]:
        """The tensors that decide which ids a vector gets."""
        return self.state_dict()

    def vectors(self, ids: Int[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        """The features that ids stand for."""
        return self.centers[ids] * self.deviation + self.mean


def fit(
    frames: Float[Tensor, "N D"],
    size: int,
    config: FitConfig | None = None,
    *,
    features: str = "",
    say: Callable[[str], None] | None = None,
) -> KMeans:
    """Centres of a sample of frames. SpecError for too few frames or for ones that are not numbers."""
    config = config or FitConfig()
    if len(frames) < 2 * size:
        wanted = f"wanted at least {2 * size} to find {size} centres in"
        raise SpecError(f"got {len(frames)} frames, {wanted}; give more speech")
    if not bool(torch.isfinite(frames).all()):
        raise SpecError("the frames hold values that are not finite; look for damaged recordings")
    made = KMeansConfig(dim=frames.shape[1], size=size, features=features).build()
    made.mean.copy_(frames.mean(0))
    deviation = frames.std(0)
    flat = deviation < _FLAT
    made.deviation.copy_(torch.where(flat if config.scaled else torch.ones_like(flat), 1.0, deviation))
    _halve(made.mean)
    _halve(made.deviation)
    draw = rng.torch_stream(config.seed, "kmeans")
    x = made.normalize(frames)
    held = x[torch.randperm(len(x), generator=draw)[: max(2 * size, min(len(x), 4096))]]
    best: tuple[float, Tensor, Tensor] | None = None
    for start in range(max(1, config.starts)):
        sample = x[torch.randperm(len(x), generator=draw)[: max(size, min(len(x), config.begun_on * size))]]
        centers = _plus_plus(sample, size, draw) if config.plus_plus else sample[:size].clone()
        count = torch.zeros(size)
        _follow(x, centers, count, min(config.trial_steps, config.steps), config, draw)
        error = distortion(held, centers)
        if say is not None:
            say(f"k-means, start {start + 1} of {config.starts}: {error:.4f}")
        if best is None or error < best[0]:
            best = error, centers, count
    assert best is not None
    _, centers, count = best
    _follow(x, centers, count, config.steps - config.trial_steps, config, draw)
    made.centers.copy_(centers)
    _halve(made.centers)
    return made


def distortion(x: Float[Tensor, "N D"], centers: Float[Tensor, "K D"]) -> float:
    """Mean squared distance to the nearest centre, per dimension."""
    near = torch.cat([nearest(piece, centers) for piece in x.split(_MOST_SEEN)])
    return float((x - centers[near]).square().mean())


def _halve(x: Tensor) -> None:
    """To what half precision holds, in which parts are stored: what is loaded again gives the same ids."""
    x.copy_(x.half().float())


def _plus_plus(x: Float[Tensor, "N D"], size: int, draw: torch.Generator) -> Float[Tensor, "K D"]:
    """Centres far from each other: each is drawn in proportion to its squared distance (Arthur 2007)."""
    chosen = torch.empty(size, x.shape[1])
    chosen[0] = x[int(torch.randint(len(x), (1,), generator=draw))]
    squares = x.square().sum(1)
    away = torch.full((len(x),), torch.inf)
    for place in range(1, size):
        last = chosen[place - 1]
        away = torch.minimum(away, (squares - 2 * (x @ last) + last.square().sum()).clamp(min=0))
        total = away.cumsum(0)
        at = torch.rand((), generator=draw) * total[-1]
        chosen[place] = x[int(torch.searchsorted(total, at).clamp(max=len(x) - 1))]
    return chosen


def _follow(
    x: Float[Tensor, "N D"],
    centers: Float[Tensor, "K D"],
    count: Float[Tensor, " K"],
    steps: int,
    config: FitConfig,
    draw: torch.Generator,
) -> None:
    """Moves centres towards the means of all frames that ever chose them; ``count`` says how many these were."""
    size, batch = len(centers), min(config.batch, len(x))
    recent = torch.zeros(size)
    for step in range(steps):
        piece = x[torch.randint(len(x), (batch,), generator=draw)]
        near = nearest(piece, centers)
        seen = torch.zeros(size).index_add_(0, near, torch.ones(batch))
        total = torch.zeros_like(centers).index_add_(0, near, piece)
        count += seen
        used = seen > 0
        centers[used] += (total[used] - seen[used, None] * centers[used]) / count[used, None]
        recent += seen
        if (step + 1) % config.settle == 0:
            dead = (recent < config.dead_below * batch * config.settle / size).nonzero()[:, 0]
            if len(dead) and step + 1 < steps:
                away = (piece - centers[near]).square().sum(1)
                far = torch.multinomial(away.clamp(min=1e-9), min(len(dead), batch), generator=draw)
                centers[dead[: len(far)]] = piece[far]
                count[dead] = 0
            recent.zero_()
