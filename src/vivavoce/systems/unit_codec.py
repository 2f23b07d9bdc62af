"""A codec whose first book is units: what is said is one id per frame that a language model can learn.

Composed of a codec that is already good and of units that pass the gate (``vivavoce eval tokens --gate``): its front
and back stay, its books are begun anew, the first with the means of what each unit sounds like.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.features import ListenerLayerConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.models.posteriors import PosteriorsConfig
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.models.units_front import UnitsFrontConfig
from vivavoce.nn.given_book import GivenBookConfig
from vivavoce.nn.quantize import ResidualConfig

_RIDGE = 1e-3


def unit_codec(known: CodecConfig, units: UnitsConfig, *, books: int = 8, code_dim: int = 96) -> CodecConfig:
    """The codec with units as the first of its books; ConfigError for parts that cannot be put together."""
    if not isinstance(known.front, MelFrontConfig) or not isinstance(
        units.front, ListenerLayerConfig | PosteriorsConfig
    ):
        raise ConfigError(
            f"a codec with a mel front and units of a listener were wanted, got {type(known.front).__name__} and "
            f"{type(units.front).__name__}"
        )
    residual = ResidualConfig(dim=known.back.dim, code_dim=code_dim, books=books, size=known.size)
    return CodecConfig(
        front=UnitsFrontConfig(sound=known.front, units=units.front),
        quantizer=GivenBookConfig(units=units.quantizer, residual=residual),
        back=known.back,
    )


@torch.no_grad()
def begun(
    known: Codec, units: Units, waves: Sequence[Float[Tensor, " N"]], *, books: int = 8, code_dim: int = 96
) -> Codec:
    """A codec that can be used at once: projections that keep the directions in which the known codec's vectors differ
    most (principal components), and books of these recordings' frames. SpecError for too few of them."""
    made = unit_codec(known.config, units.config, books=books, code_dim=code_dim).build().eval()
    made.front.sound.load_state_dict(known.front.state_dict())
    made.front.units.load_state_dict(units.front.state_dict())
    made.quantizer.units.load_state_dict(units.quantizer.state_dict())
    made.back.load_state_dict(known.back.state_dict())
    hop = known.config.hop
    vectors = torch.cat([made.front(pad(wave, (0, -len(wave) % hop))[None, None])[0] for wave in waves], dim=1)
    if vectors.shape[1] < 2 * known.config.size:
        raise SpecError(f"got {vectors.shape[1]} frames, wanted {2 * known.config.size} to begin the books with")
    sound = vectors[: known.config.front.dim]
    values = known.quantizer.decode(known.quantizer.encode(sound[None]))[0].T
    mean = values.mean(0)
    directions = torch.linalg.svd((values - mean).T @ (values - mean))[0][:, :code_dim]
    inputs = torch.cat((sound.T, torch.ones(len(values), 1)), dim=1)
    squares = inputs.T @ inputs
    squares += _RIDGE * squares.diagonal().mean() * torch.eye(len(squares))
    weight = torch.linalg.solve(squares, inputs.T @ (values - mean) @ directions)
    residual = made.quantizer.residual
    residual.into.weight.copy_(weight[:-1].T)
    residual.into.bias.copy_(weight[-1])
    residual.out.weight.copy_(directions)
    residual.out.bias.copy_(mean)
    made.quantizer.start(vectors[None])
    return made
