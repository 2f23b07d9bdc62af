"""What the server counts, for Prometheus and for one log line per turn."""

import json
import logging
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vivavoce.runtime import api
from vivavoce.runtime.api import Output
from vivavoce.runtime.engine import LiveEngine

log = logging.getLogger("vivavoce.turns")


class Metrics:
    """All counters of one server."""

    def __init__(self, engine: LiveEngine) -> None:
        """Reads what the engine knows whenever somebody asks."""
        self.registry = CollectorRegistry()
        self._engine = engine
        self.sessions = Gauge("vivavoce_sessions", "Open realtime sessions", registry=self.registry)
        rows = Gauge("vivavoce_rows", "Rows of the engine in use", registry=self.registry)
        rows.set_function(lambda: engine.taken)
        total = Gauge("vivavoce_rows_total", "Rows of the engine", registry=self.registry)
        total.set(engine.rows)
        queue = Gauge("vivavoce_queue_samples", "Input samples that wait to be heard", registry=self.registry)
        queue.set_function(engine.backlog)
        step = Gauge("vivavoce_step_seconds", "Time of one step", ["quantile"], registry=self.registry)
        step.labels("0.5").set_function(lambda: engine.stats.quantile(0.5))
        step.labels("0.95").set_function(lambda: engine.stats.quantile(0.95))
        late = Gauge("vivavoce_late_steps", "Steps that took longer than a frame of 40 ms", registry=self.registry)
        late.set_function(lambda: engine.stats.late)
        buckets = (0.05, 0.1, 0.15, 0.2, 0.3, 0.45, 0.6, 1, 2, 5)
        self.first_audio = Histogram(
            "vivavoce_first_audio_seconds",
            "From the end of the user's turn to the first sound of the answer",
            buckets=buckets,
            registry=self.registry,
        )
        self.turns = Counter("vivavoce_turns", "Answers by how they ended", ["why"], registry=self.registry)
        self.interruptions = Counter("vivavoce_interruptions", "Interrupted answers", registry=self.registry)
        self.errors = Counter("vivavoce_errors", "Error events and refusals", ["code"], registry=self.registry)

    def text(self) -> bytes:
        """What /metrics answers."""
        return generate_latest(self.registry)

    def watch(self) -> "TurnWatch":
        """A watcher for one conversation, which is shown each of its outputs."""
        return TurnWatch(self, self._engine)


class TurnWatch:
    """Follows the outputs of one conversation and writes one line for each answer."""

    def __init__(self, metrics: Metrics, engine: LiveEngine) -> None:
        self._metrics, self._engine = metrics, engine
        self._asked: float | None = None
        self._began: dict[int, float] = {}
        self._first: dict[int, float] = {}

    def see(self, output: Output) -> None:
        """Counts an output, and writes the line when it ends an answer."""
        match output:
            case api.Committed():
                self._asked = time.perf_counter()
            case api.TurnStarted(turn, options, _):
                asked = None if options.out_of_band else self._asked
                self._began[turn] = time.perf_counter() if asked is None else asked
            case api.AudioOut(turn) if turn in self._began and turn not in self._first:
                self._first[turn] = time.perf_counter() - self._began[turn]
                self._metrics.first_audio.observe(self._first[turn])
            case api.Silenced():
                self._metrics.interruptions.inc()
            case api.TurnEnded(turn, why, heard, _, error):
                self._metrics.turns.labels(why).inc()
                first = self._first.pop(turn, None)
                if self._began.pop(turn, None) == self._asked:
                    self._asked = None
                stats = self._engine.stats
                line = {
                    "turn": turn,
                    "why": why,
                    "heard_ms": heard // 24,
                    "first_audio_ms": None if first is None else round(1000 * first, 1),
                    "rows": self._engine.taken,
                    "queue": self._engine.backlog(),
                    "step_p50_ms": round(1000 * stats.quantile(0.5), 2),
                    "step_p95_ms": round(1000 * stats.quantile(0.95), 2),
                }
                log.info(json.dumps(line | ({"error": error} if error else {})))
            case _:
                pass
