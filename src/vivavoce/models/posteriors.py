"""What a listener takes each frame for, as features of units: square roots of its two distributions over phones.

Distances between such vectors are Hellinger's between distributions, so that frames that say the same lie together
whatever voice says them. Their clusters are supervised units: a recogniser with a vector quantiser at its end.
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.models.features import ListenerFrames, ListenerFramesConfig, filled, kept_of
from vivavoce.models.listener import SPLIT, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorsConfig(ListenerFramesConfig):
    """Both distributions of both halves of each 40 ms frame of a listener.

    ``frame`` is the weight of the head that says each frame's phone beside CTC's, which says each phone once.
    """

    frame: float = 0.5

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return 2 * SPLIT * self.listener.symbols

    def build(self) -> "Posteriors":
        """The module."""
        return Posteriors(self)


@final
class Posteriors(ListenerFrames):
    """A listener's trunk and the two heads that say phones."""

    def __init__(self, config: PosteriorsConfig) -> None:
        """Random weights, to be filled from a file; `of` takes a listener's."""
        heard = config.listener
        super().__init__(config, heard.trunk.layers)
        self.config = config
        self.ctc = nn.Linear(heard.trunk.dim, SPLIT * heard.symbols)
        self.frame = nn.Linear(heard.trunk.dim, SPLIT * heard.symbols)

    @staticmethod
    def of(listener: Listener, whole: bool = False) -> "Posteriors":
        """A listener's, with its weights."""
        return filled(PosteriorsConfig(listener=kept_of(listener), whole=whole).build(), listener)

    def vectors(self, frames: Float[Tensor, "B T H"]) -> Float[Tensor, "B D T"]:
        """Square roots of both distributions."""
        both = torch.stack((self.ctc(frames), self.frame(frames)), dim=2).unflatten(-1, (SPLIT, -1)).float()
        roots = (0.5 * both.log_softmax(-1)).exp() * both.new_tensor([1.0, self.config.frame])[:, None, None]
        return roots.flatten(2).transpose(1, 2)
