"""Training: one loop over tasks, with exact resume."""

from vivavoce.train.checkpoint import Checkpoints
from vivavoce.train.hooks import Curves, Export, JsonLines, Progress, Validate
from vivavoce.train.loop import Run, fit, warm_cosine
from vivavoce.train.task import Frozen, Losses, Task, Term

__all__ = [
    "Checkpoints",
    "Curves",
    "Export",
    "Frozen",
    "JsonLines",
    "Losses",
    "Progress",
    "Run",
    "Task",
    "Term",
    "Validate",
    "fit",
    "warm_cosine",
]
