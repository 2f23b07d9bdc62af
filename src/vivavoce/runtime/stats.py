"""What an engine has done; read by metrics and benchmarks."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True)
class Stats:
    """Counters since the engine began."""

    steps: deque[float] = field(default_factory=lambda: deque(maxlen=4096))
    """Seconds of the last steps that did something."""
    late: int = 0
    """Steps that took longer than a frame."""
    ready: int = 0
    """Answers to speech that had been prepared during the silence."""
    unready: int = 0
    opened: int = 0
    refused: int = 0

    def quantile(self, q: float) -> float:
        """Of the step times, in seconds."""
        return float(np.quantile(list(self.steps), q)) if self.steps else 0.0
