"""A task is what is learnt: modules, one forward per batch, and the named losses of each phase.

A task touches neither devices nor optimisers. Ordinary learning has one phase; a GAN has two that share one forward
(`outputs`): the losses of a phase reach the optimiser of that phase only.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, final

from torch import Tensor, nn

from vivavoce.core.errors import TrainingError

BatchT = TypeVar("BatchT")
OutT = TypeVar("OutT")


class Term(NamedTuple):
    """One term of a loss; the loop adds ``weight * value``. Weight 0 reports a number without training on it."""

    value: Tensor
    weight: float = 1.0


Losses = Mapping[str, Term]


@final
class Frozen(nn.Module):
    """A module that a task uses and does not learn: in no optimiser, average or checkpoint, always evaluating.

    It goes to the device with the task. Gradients pass through it.
    """

    def __init__(self, module: nn.Module) -> None:
        """Hides the module from whoever goes through a task's modules."""
        super().__init__()
        self._hidden = (module.eval().requires_grad_(False),)

    @property
    def module(self) -> Any:
        """What was frozen."""
        return self._hidden[0]

    def forward(self, *inputs: Any) -> Any:
        """The module's."""
        return self.module(*inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Frozen":
        """Itself: averaged copies of a task share it."""
        return self

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Frozen":
        self.module._apply(fn, recurse)
        return self


class Task(ABC, nn.Module, Generic[BatchT, OutT]):
    """Something to learn; see the file's text."""

    phases: ClassVar[tuple[str, ...]] = ("model",)
    synchronous: ClassVar[bool] = False
    """Whether a batch is made when its step has come and not ahead: roll-outs see the weights of their step."""

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
