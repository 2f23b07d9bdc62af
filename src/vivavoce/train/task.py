"""A task is what is learnt: modules, one forward per batch, and the named losses of each phase.

A task touches neither devices nor optimisers. Ordinary learning has one phase; a GAN has two that share one forward
(`outputs`): the losses of a phase reach the optimiser of that phase only.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Generic, NamedTuple, TypeVar

from torch import Tensor, nn

from vivavoce.core.errors import TrainingError

BatchT = TypeVar("BatchT")
OutT = TypeVar("OutT")


class Term(NamedTuple):
    """One term of a loss; the loop adds ``weight * value``. Weight 0 reports a number without training on it."""

    value: Tensor
    weight: float = 1.0


Losses = Mapping[str, Term]


class Task(ABC, nn.Module, Generic[BatchT, OutT]):
    """Something to learn; see the file's text."""

    phases: ClassVar[tuple[str, ...]] = ("model",)

    @abstractmethod
    def outputs(self, batch: BatchT) -> OutT:
        """Runs the modules once for this batch; all phases get the same result."""

    @abstractmethod
    def losses(self, phase: str, batch: BatchT, out: OutT) -> Losses:
        """Named terms of one phase."""

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """What the phase's optimiser may change; a task with several phases says so."""
        if len(self.phases) > 1:
            raise TrainingError(f"{type(self).__name__} has {len(self.phases)} phases and must divide its parameters")
        return [p for p in self.parameters() if p.requires_grad]

    def skip(self, phase: str, step: int) -> bool:
        """True when the phase rests in this step (a discriminator that is updated less often, or later)."""
        return False

    def after_step(self, step: int) -> None:
        """Called after each step: schedules inside the task, revival of dead codes."""
