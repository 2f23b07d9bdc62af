"""The weights of a run that did best on held-out data: training goes on until it learns by heart."""

import math
from collections.abc import Mapping
from statistics import fmean
from typing import final

from torch import Tensor, nn

from vivavoce.core.errors import TrainingError


@final
class Best:
    """The weights with the least held-out loss so far, and what was measured with them.

    Handed to `fit`, which keeps it in the run and in its checkpoints; `Validate` shows it what it measures.
    """

    def __init__(self, least: float = math.inf, names: str = "tokens") -> None:
        """Weights count from a loss below ``least``; the loss is the mean of the numbers whose names begin so."""
        self.loss, self.names = least, names
        self.measured: dict[str, float] = {}
        self.weights: dict[str, Tensor] = {}
        """Of the whole task, on the CPU; empty as long as none counted."""

    def see(self, task: nn.Module, measured: Mapping[str, float]) -> bool:
        """Takes what was measured of a task, and its weights if they are the best so far; says whether they are.

        Raises TrainingError when there is no loss in what was measured.
        """
        losses = [value for name, value in measured.items() if name.startswith(self.names)]
        if not losses:
            raise TrainingError(
                f"the best weights have the least {self.names!r}, measured were {', '.join(measured) or 'nothing'}; "
                "name a number that is measured"
            )
        if not (loss := fmean(losses)) < self.loss:
            return False
        self.loss, self.measured = loss, dict(measured)
        self.weights = {key: value.detach().to("cpu", copy=True) for key, value in task.state_dict().items()}
        return True

    def of(self, task: nn.Module) -> Mapping[str, Tensor]:
        """The best weights of a task's ``model``; those that it has where none counted."""
        state: Mapping[str, Tensor] = self.weights or task.state_dict()
        return {key.removeprefix("model."): value for key, value in state.items()}
