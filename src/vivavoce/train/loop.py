"""The loop. There is one.

Batches are a function of the step, and the random numbers of a step are seeded by its number; so a run that was killed
and resumed from a checkpoint takes exactly the steps it would have taken (bit-exact on a CPU).
"""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vivavoce.core.errors import TrainingError
from vivavoce.train.ahead import ahead
from vivavoce.train.best import Best
from vivavoce.train.precision import bf16_pays
from vivavoce.train.task import Task

log = logging.getLogger(__name__)
BatchT = TypeVar("BatchT")
Schedule = Callable[[int], float]
_PATIENCE = 20
ENDLESS = 1 << 40
"""Steps of a run that ends by the clock."""


@dataclass
class Run:
    """What hooks see: where the run is and what the last step gave."""

    task: Task[Any, Any]
    optimizers: Mapping[str, Optimizer]
    steps: int
    step: int = 0
    ema: nn.Module | None = None
    best: Best | None = None
    losses: dict[str, float] = field(default_factory=dict)
    lr: float = 0.0
    grad_norm: float = 0.0
    audio_seconds: float = 0.0
    started: float = field(default_factory=time.monotonic)
    audio_at_start: float = 0.0

    @property
    def model(self) -> nn.Module:
        """The averaged weights where there are any, else the task itself."""
        return self.task if self.ema is None else self.ema

    @property
    def audio_per_second(self) -> float:
        """Seconds of audio trained on per second since the loop began."""
        return (self.audio_seconds - self.audio_at_start) / max(time.monotonic() - self.started, 1e-9)


@runtime_checkable
class Hook(Protocol):
    """Something that wants to know of each step."""

    def start(self, run: Run) -> None:
        """Before the first step; a checkpoint hook, the first of all, puts an earlier run back here."""

    def step(self, run: Run) -> None:
        """After every step."""

    def end(self, run: Run) -> None:
        """After the last step, and when the run is interrupted."""


@dataclass(frozen=True, slots=True)
class WarmCosine:
    """Learning-rate factor: linear to 1 over ``warmup`` steps, then half a cosine down to ``floor``."""

    steps: int
    warmup: int
    floor: float = 0.02

    def __call__(self, step: int) -> float:
        """The factor of a step."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        done = min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * done))

    def by_clock(self, seconds: float) -> Schedule:
        """The same down by the clock."""
        return clock_cosine(seconds, self.warmup, self.floor)


def warm_cosine(steps: int, warmup: int, floor: float = 0.02) -> WarmCosine:
    """Linear to 1 over ``warmup`` steps, then half a cosine down to ``floor``."""
    return WarmCosine(steps, warmup, floor)


def clock_cosine(seconds: float, warmup: int, floor: float = 0.0) -> Schedule:
    """Like `warm_cosine`, but down by the clock: at ``floor`` when ``seconds`` have gone by since the first step."""
    begun: list[float] = []

    def factor(step: int) -> float:
        if not begun:
            begun.append(time.monotonic())
        done = min((time.monotonic() - begun[0]) / seconds, 1.0)
        return min((step + 1) / warmup, 1.0) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))

    return factor


_given: ContextVar[Iterator[float] | None] = ContextVar("seconds of the coming runs", default=None)


@contextmanager
def within(seconds: Sequence[float]) -> Iterator[None]:
    """Runs of the loop that begin in here end by the clock, whatever their steps, each after its own seconds.

    Raises TrainingError in the run for which no number is left.
    """
    token = _given.set(iter(seconds))
    try:
        yield
    finally:
        _given.reset(token)


def _seconds_of_this_run() -> float | None:
    """What `within` says, where it says anything."""
    given = _given.get()
    if given is None:
        return None
    if (mine := next(given, None)) is None:
        raise TrainingError("this recipe trains more often than seconds were given; give seconds for each of its runs")
    return mine


def moved(value: Any, device: torch.device) -> Any:
    """A batch on a device: the tensors in dataclasses, named tuples, dictionaries, tuples and lists."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: moved(item, device) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(item, device) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(moved(item, device) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return type(value)(**{f.name: moved(getattr(value, f.name), device) for f in fields(value)})
    return value


def _seconds(batch: Any) -> float:
    value = batch.get("seconds", 0.0) if isinstance(batch, dict) else getattr(batch, "seconds", 0.0)
    return float(value)


def fit(
    task: Task[BatchT, Any],
    batches: Callable[[int], BatchT],
    optimizers: Mapping[str, Optimizer] | Optimizer,
    *,
    steps: int,
    hooks: tuple[Hook, ...] = (),
    schedule: Schedule | None = None,
    seed: int = 0,
    clip: float = 1.0,
    bf16: bool = True,
    ema: float = 0.0,
    best: Best | None = None,
    device: str | torch.device = "cpu",
    prefetch: int = 1,
    workers: int = 0,
    accumulate: int = 1,
    seconds: float = 0.0,
) -> Run:
    """Trains ``task`` up to step ``steps`` and gives the finished `Run`.

    ``batches(step)`` makes the batch of a step; it runs ahead in ``prefetch`` threads or ``workers`` processes, unless
    the task is synchronous. With ``accumulate`` > 1 a step takes the mean of the gradients of so many batches, those of
    the numbers ``step * accumulate`` and following. A batch may carry ``seconds``, the audio in it. ``ema`` > 0 keeps
    averaged weights with that decay, less at first: the average forgets what it began with in a short run too. ``best``
    keeps the weights that did best where they are measured (`Validate`). With ``seconds`` > 0 the run ends when so many
    have gone by, or before that at ``steps``, for a machine that is lent by the minute; what `within` says goes before
    both, and a `WarmCosine` then follows the clock.
    Raises TrainingError when losses or gradients are not finite for 20 steps in a row; single such steps are left out.
    """
    if isinstance(optimizers, Optimizer):
        optimizers = {task.phases[0]: optimizers}
    if set(optimizers) != set(task.phases):
        raise TrainingError(f"optimisers for {sorted(optimizers)}, but the task has the phases {list(task.phases)}")
    device = torch.device(device)
    if (limit := _seconds_of_this_run()) is not None:
        seconds, steps = limit, ENDLESS
        schedule = schedule.by_clock(seconds) if isinstance(schedule, WarmCosine) else schedule
    task.to(device).train()
    average = None
    if ema > 0:
        average = torch.optim.swa_utils.AveragedModel(task, multi_avg_fn=_averaging(ema), use_buffers=False)
    run = Run(task, optimizers, steps, ema=average.module if average is not None else None, best=best)
    base = {phase: [group["lr"] for group in optimizer.param_groups] for phase, optimizer in optimizers.items()}
    for hook in hooks:
        hook.start(run)
    if average is not None:
        average.n_averaged.fill_(run.step)  # averages that were put back are gone on with, not begun anew
    run.started, run.audio_at_start = time.monotonic(), run.audio_seconds
    bad = 0
    begin, end = run.step * accumulate, steps * accumulate
    coming: Generator[BatchT, None, None]
    if task.synchronous:
        coming = (batches(number) for number in range(begin, end))
    else:
        coming = ahead(batches, begin, end, prefetch=prefetch, workers=workers)
    try:
        while run.step < run.steps:
            step, few = run.step, (moved(next(coming), device) for _ in range(accumulate))
            factor = schedule(step) if schedule is not None else 1.0
            with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
                torch.manual_seed((seed << 32) + step)
                whole = _one_step(run, few, accumulate, base, factor, clip, bf16, device)
            bad = 0 if whole else bad + 1
            if bad >= _PATIENCE:
                raise TrainingError(
                    f"losses or gradients were not finite for {bad} steps up to step {step}; "
                    "lower the learning rate or look for broken data"
                )
            if average is not None:
                average.update_parameters(task)
                for mean, now in zip(average.module.buffers(), task.buffers(), strict=True):
                    mean.copy_(now)
            task.after_step(step)
            run.step += 1
            if seconds and time.monotonic() - run.started >= seconds:
                run.steps = run.step  # hooks see that it is the last
            for hook in hooks:
                hook.step(run)
    finally:
        coming.close()
        for hook in hooks:
            hook.end(run)
    task.eval()
    return run


def _averaging(most: float) -> Callable[[Any, Any, Any], None]:
    """Moves averages towards the weights, with a decay of at most ``most`` that grows with what was averaged."""

    @torch.no_grad()
    def average(means: Any, now: Any, count: Any) -> None:
        decay = min(most, (1 + float(count)) / (10 + float(count)))
        torch._foreach_lerp_(means, now, 1 - decay)

    return average


def _one_step(
    run: Run,
    few: Iterable[Any],
    count: int,
    base: dict[str, list[float]],
    factor: float,
    clip: float,
    bf16: bool,
    device: torch.device,
) -> bool:
    """A forward per batch, then one update per phase; False when something was not finite and a phase was left out."""
    task = run.task
    autocast = torch.autocast(device.type, torch.bfloat16) if bf16 and bf16_pays(device.type) else nullcontext()
    phases = [phase for phase in task.phases if not task.skip(phase, run.step)]
    gradients: dict[str, list[Tensor | None]] = {phase: [None] * len(task.parameters_of(phase)) for phase in phases}
    finite = dict.fromkeys(phases, True)
    seen: dict[str, float] = {}
    for batch in few:
        run.audio_seconds += _seconds(batch)
        with autocast:
            out = task.outputs(batch)
        for phase in phases:
            with autocast:
                terms = task.losses(phase, batch, out)
            total = torch.stack([t.weight * t.value.float() for t in terms.values() if t.weight]).sum() / count
            for name, term in terms.items():
                seen[name] = seen.get(name, 0.0) + float(term.value.detach()) / count
            finite[phase] &= math.isfinite(float(total.detach()))
            if finite[phase]:
                found = torch.autograd.grad(total, task.parameters_of(phase), allow_unused=True)
                gradients[phase] = [
                    a if b is None else b if a is None else a + b for a, b in zip(gradients[phase], found, strict=True)
                ]
    run.losses = seen
    for phase in phases:
        parameters, norm = task.parameters_of(phase), math.nan
        if finite[phase]:
            for parameter, gradient in zip(parameters, gradients[phase], strict=True):
                parameter.grad = gradient
            norm = float(nn.utils.clip_grad_norm_(parameters, clip if clip > 0 else math.inf))
        if not math.isfinite(norm):
            log.warning("step %d: the %s phase is not finite and was left out", run.step, phase)
            finite[phase] = False
            continue
        optimizer = run.optimizers[phase]
        for group, lr in zip(optimizer.param_groups, base[phase], strict=True):
            group["lr"] = lr * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.lr, run.grad_norm = optimizer.param_groups[0]["lr"], norm
    return all(finite.values())
