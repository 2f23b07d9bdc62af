"""The thread on which a model is stepped."""

import sys
import threading
import time
from collections.abc import Callable

from vivavoce.runtime.stats import Stats

SWITCH_SECONDS = 2e-4
"""For how long a thread may hold Python while the clock waits for it. A step takes Python back hundreds of times, and
the usual 5 ms would make it late whenever somebody thinks."""


class Clock:
    """Calls ``step`` again and again while it has something to do, and then waits until it is woken."""

    def __init__(self, step: Callable[[], bool], stats: Stats, period: float) -> None:
        """``period``: seconds that a step has before it is late."""
        self._step, self._stats, self._period = step, stats, period
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From now on it runs by itself."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread = threading.Thread(target=self._run, name="vivavoce-step", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Says that there is something to do; from any thread."""
        self._wake.set()

    def stop(self) -> None:
        """Ends the thread after the step that it is in."""
        self._stopping = True
        self.wake()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            started = time.perf_counter()
            if not self._step():
                self._wake.wait()
                continue
            took = time.perf_counter() - started
            self._stats.steps.append(took)
            self._stats.late += took > self._period
