"""Training: one loop over tasks, with exact resume."""

from vivavoce.train.best import Best
from vivavoce.train.checkpoint import Checkpoints
from vivavoce.train.hooks import Curves, Export, JsonLines, Progress, Validate
from vivavoce.train.loop import Run, clock_cosine, fit, warm_cosine, within
from vivavoce.train.task import Frozen, Losses, Task, Term

__all__ = [
    "Best",
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
    "clock_cosine",
    "fit",
    "warm_cosine",
    "within",
]
