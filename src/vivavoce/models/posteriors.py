"""What a listener takes each frame for, as features of units: square roots of its two distributions over phones.

Distances between such vectors are Hellinger's between distributions, so that frames that say the same lie together
whatever voice says them. Their clusters are supervised units: a recogniser with a vector quantiser at its end.
"""

from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.core.errors import ConfigError
from vivavoce.core.streaming import Timing
from vivavoce.models.features import ListenerFramesConfig
from vivavoce.models.listener import SPLIT, Listener, ListenerState, ListenerTrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorsConfig(ListenerFramesConfig):
    """Both distributions of both halves of each 40 ms frame of a listener.

    ``frame`` is the weight of the head that says each frame's phone beside CTC's, which says each phone once.
    ``whole``: every frame sees all of the sound, which is clearer and cannot be streamed.
    """

    frame: float = 0.5
    whole: bool = False

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return 2 * SPLIT * self.listener.symbols

    def build(self) -> "Posteriors":
        """The module."""
        return Posteriors(self)


@final
class Posteriors(ListenerTrunk):
    """A listener's trunk and the two heads that say phones."""

    def __init__(self, config: PosteriorsConfig) -> None:
        """Random weights, to be filled from a file; `of` takes a listener's."""
        heard = config.listener
        super().__init__(heard.mel, heard.trunk, heard.mean, heard.deviation)
        self.config = config
        self.ctc = nn.Linear(heard.trunk.dim, SPLIT * heard.symbols)
        self.frame = nn.Linear(heard.trunk.dim, SPLIT * heard.symbols)

    @staticmethod
    def of(listener: Listener, whole: bool = False) -> "Posteriors":
        """A listener's, with its weights."""
        config = replace(listener.config, aside=0, speech=None)
        made = PosteriorsConfig(listener=config, whole=whole).build()
        made.load_state_dict({key: listener.state_dict()[key] for key in made.state_dict()})
        return made.eval()

    @property
    def timing(self) -> Timing:
        """A chunk of the trunk; ConfigError for features that wait for the end."""
        if self.config.whole:
            raise ConfigError("these features see all of the sound and cannot be streamed; use those with whole=False")
        return super().timing

    def forward(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """All frames at once; a last frame that is not whole gets silence."""
        sound = pad(wave[:, 0], (0, -wave.shape[2] % self.config.hop))
        return self._roots(self.frames(self.mel(sound), None, 0 if self.config.whole else None)[0])

    def step(
        self, wave: Float[Tensor, "B 1 N"], state: ListenerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B D T"]:
        """Whole chunks (`timing`); the very last may be shorter, of whole frames."""
        _ = self.timing
        return self._roots(self.step_frames(wave[:, 0], state, active))

    def _roots(self, x: Float[Tensor, "B T E"]) -> Float[Tensor, "B D T"]:
        both = torch.stack((self.ctc(x), self.frame(x)), dim=2).unflatten(-1, (SPLIT, -1)).float()
        roots = (0.5 * both.log_softmax(-1)).exp() * both.new_tensor([1.0, self.config.frame])[:, None, None]
        return roots.flatten(2).transpose(1, 2)
