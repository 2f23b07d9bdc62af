"""The loop: exact resume, phases that keep to their own parameters, refusal of what is not finite."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vivavoce.core.errors import TrainingError
from vivavoce.train import (
    Checkpoints,
    Curves,
    Frozen,
    JsonLines,
    Losses,
    Run,
    Task,
    Term,
    clock_cosine,
    fit,
    warm_cosine,
    within,
)


class Line(Task[dict[str, Tensor], Tensor]):
    """Learns y = 2x with dropout, so that random numbers matter."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 4))

    def outputs(self, batch: dict[str, Tensor]) -> Tensor:
        """Prediction."""
        return self.net(batch["x"])

    def losses(self, phase: str, batch: dict[str, Tensor], out: Tensor) -> Losses:
        """Squared error."""
        return {"error": Term((out - 2 * batch["x"]).square().mean())}


def batches(step: int) -> dict[str, Tensor]:
    return {"x": torch.randn(16, 4, generator=torch.Generator().manual_seed(step))}


def make() -> tuple[Line, torch.optim.Optimizer]:
    torch.manual_seed(0)
    task = Line()
    return task, torch.optim.AdamW(task.parameters(), lr=1e-2)


def test_resume_is_bit_exact(tmp_path: Path) -> None:
    schedule = warm_cosine(12, 3)
    whole, optimizer = make()
    unbroken = fit(whole, batches, optimizer, steps=12, schedule=schedule, ema=0.9)
    first, optimizer = make()
    fit(first, batches, optimizer, steps=5, schedule=schedule, ema=0.9, hooks=(Checkpoints(tmp_path),))
    second, optimizer = make()
    torch.manual_seed(99)
    run = fit(second, batches, optimizer, steps=12, schedule=schedule, ema=0.9, hooks=(Checkpoints(tmp_path),))
    assert run.step == 12
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert unbroken.ema is not None and run.ema is not None
    for a, b in zip(unbroken.ema.parameters(), run.ema.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_average_of_a_short_run_forgets_where_it_began() -> None:
    task, optimizer = make()
    begun = [p.detach().clone() for p in task.parameters()]
    run = fit(task, batches, optimizer, steps=60, ema=0.999)
    assert run.ema is not None
    with torch.no_grad():
        ways = list(zip(begun, run.ema.parameters(), task.parameters(), strict=True))
        left = sum(float((end - mean).norm()) for _, mean, end in ways)
        moved = sum(float((end - start).norm()) for start, _, end in ways)
    assert left < 0.3 * moved


def test_a_run_ends_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("vivavoce.train.loop.time.monotonic", lambda: now[0])
    seen: list[float] = []
    schedule = clock_cosine(10.0, warmup=2, floor=0.1)

    class Tick:
        def start(self, run: Run) -> None: ...

        def step(self, run: Run) -> None:
            seen.append(run.lr)
            now[0] += 1.0

        def end(self, run: Run) -> None: ...

    task, optimizer = make()
    run = fit(task, batches, optimizer, steps=1000, schedule=schedule, seconds=10.0, hooks=(Tick(),))
    assert run.step == run.steps == 11 and max(seen) == seen[1]
    assert seen[0] == pytest.approx(0.5e-2) and seen[9] == pytest.approx(1e-2 * schedule(9), rel=0.3)
    assert seen[2:] == sorted(seen[2:], reverse=True) and seen[9] < 0.2e-2


def test_runs_inside_end_by_the_clock_each_after_its_own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("vivavoce.train.loop.time.monotonic", lambda: now[0])
    rates: list[float] = []

    class Tick:
        def start(self, run: Run) -> None: ...

        def step(self, run: Run) -> None:
            now[0] += 1.0
            rates.append(run.lr)

        def end(self, run: Run) -> None: ...

    schedule = warm_cosine(3, warmup=1, floor=0.1)
    with within([4.0, 6.0]):
        for seconds in (4, 6):
            task, optimizer = make()
            run = fit(task, batches, optimizer, steps=3, schedule=schedule, hooks=(Tick(),))
            assert run.step == run.steps == seconds + 1
        assert rates[4] == rates[-1] == pytest.approx(1e-2 * 0.1) and rates[2] > rates[3]
        with pytest.raises(TrainingError, match="more often than seconds were given"):
            fit(task, batches, optimizer, steps=3)
    task, optimizer = make()
    assert fit(task, batches, optimizer, steps=2).step == 2


def test_worker_processes_make_the_same_batches_in_order(tmp_path: Path) -> None:
    alone, optimizer = make()
    fit(alone, batches, optimizer, steps=21)
    for steps in (5, 21):  # the second run begins in the middle of a block
        helped, optimizer = make()
        fit(helped, batches, optimizer, steps=steps, workers=2, hooks=(Checkpoints(tmp_path),))
    for a, b in zip(alone.parameters(), helped.parameters(), strict=True):
        assert torch.equal(a, b)


def test_curves_are_drawn_and_written_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = tmp_path / "losses.jsonl"
    for steps in (3, 6):  # the second run goes on where the first one ended
        task, optimizer = make()
        hooks = (Checkpoints(tmp_path), JsonLines(log, every=1), Curves(log, tmp_path / "curves.png"))
        fit(task, batches, optimizer, steps=steps, hooks=hooks)
    assert (tmp_path / "curves.png").stat().st_size > 1000
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("error")] == [1, 2, 3, 4, 5, 6]


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    task, optimizer = make()
    fit(task, batches, optimizer, steps=2, hooks=(Checkpoints(tmp_path, identity="a"),))
    with pytest.raises(TrainingError, match="another configuration"):
        fit(task, batches, optimizer, steps=4, hooks=(Checkpoints(tmp_path, identity="b"),))
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainingError, match="damaged"):
        fit(task, batches, optimizer, steps=4, hooks=(Checkpoints(tmp_path, identity="a"),))


def test_single_bad_steps_are_left_out_and_many_end_the_run() -> None:
    task, optimizer = make()
    before = [p.clone() for p in task.parameters()]

    def broken(step: int) -> dict[str, Tensor]:
        return {"x": torch.full((2, 4), float("nan"))} if step == 0 else batches(step)

    fit(task, broken, optimizer, steps=1)
    assert all(torch.equal(a, b) for a, b in zip(before, task.parameters(), strict=True))
    fit(task, broken, optimizer, steps=3)
    assert not all(torch.equal(a, b) for a, b in zip(before, task.parameters(), strict=True))
    with pytest.raises(TrainingError, match="not finite"):
        fit(task, lambda step: broken(0), optimizer, steps=100)


class TwoPhases(Task[dict[str, Tensor], Tensor]):
    """A generator and a critic."""

    phases = ("generator", "critic")

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = nn.Linear(4, 4), nn.Linear(4, 1)

    def outputs(self, batch: dict[str, Tensor]) -> Tensor:
        """Fake."""
        return self.generator(batch["x"])

    def losses(self, phase: str, batch: dict[str, Tensor], out: Tensor) -> Losses:
        """Least squares."""
        if phase == "generator":
            return {"fool": Term((self.critic(out) - 1).square().mean())}
        return {"tell": Term(self.critic(out.detach()).square().mean() + (self.critic(batch["x"]) - 1).square().mean())}

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Each its own."""
        return list(getattr(self, phase).parameters())

    def skip(self, phase: str, step: int) -> bool:
        """The critic rests at first."""
        return phase == "critic" and step < 1


def test_phases_change_their_own_parameters_only() -> None:
    torch.manual_seed(0)
    task = TwoPhases()
    optimizers = {phase: torch.optim.SGD(task.parameters_of(phase), lr=0.1) for phase in task.phases}
    critic = task.critic.weight.clone()
    generator = task.generator.weight.clone()
    fit(task, batches, optimizers, steps=1, bf16=False)
    assert torch.equal(critic, task.critic.weight)
    assert not torch.equal(generator, task.generator.weight)
    fit(task, batches, optimizers, steps=2, bf16=False)
    assert not torch.equal(critic, task.critic.weight)


@dataclass(frozen=True)
class Points:
    x: Tensor
    seconds: float


class Taught(Task[Points, Tensor]):
    """Follows a frozen teacher."""

    def __init__(self, teacher: nn.Module) -> None:
        super().__init__()
        self.teacher = Frozen(teacher)
        self.net = nn.Linear(4, 4)

    def outputs(self, batch: Points) -> Tensor:
        """What the pupil says."""
        return self.net(batch.x)

    def losses(self, phase: str, batch: Points, out: Tensor) -> Losses:
        """Its distance from the teacher."""
        return {"distance": Term((out - self.teacher(batch.x)).square().mean())}


def points(size: int) -> Callable[[int], Points]:
    def make(number: int) -> Points:
        """``size`` rows of one endless table."""
        table = torch.randn(64, 4, generator=torch.Generator().manual_seed(5))
        return Points(table[number * size : (number + 1) * size], float(size))

    return make


def taught() -> tuple[Taught, torch.optim.Optimizer]:
    torch.manual_seed(0)
    task = Taught(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train())
    return task, torch.optim.SGD(task.parameters(), lr=0.1)


def test_accumulated_batches_are_one_large_batch() -> None:
    trained = []
    for size, accumulate in ((16, 1), (4, 4)):
        task, optimizer = taught()
        run = fit(task, points(size), optimizer, steps=4, accumulate=accumulate, bf16=False)
        assert run.audio_seconds == 64.0
        trained.append((task, run.losses["distance"], run.grad_norm))
    assert trained[0][1:] == pytest.approx(trained[1][1:], rel=1e-4)
    for a, b in zip(trained[0][0].parameters(), trained[1][0].parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_accumulation_resumes_bit_exact(tmp_path: Path) -> None:
    whole, optimizer = taught()
    fit(whole, points(4), optimizer, steps=4, accumulate=3)
    for steps in (2, 4):
        parts, optimizer = taught()
        fit(parts, points(4), optimizer, steps=steps, accumulate=3, hooks=(Checkpoints(tmp_path),))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(a, b)


def test_frozen_parts_are_in_no_optimiser_average_or_checkpoint(tmp_path: Path) -> None:
    from safetensors import safe_open

    task, optimizer = taught()
    before = [weight.clone() for weight in task.teacher.module.parameters()]
    run = fit(task, points(4), optimizer, steps=3, ema=0.5, hooks=(Checkpoints(tmp_path),))
    assert all(torch.equal(a, b) for a, b in zip(before, task.teacher.module.parameters(), strict=True))
    assert len(list(task.parameters())) == 2 and not task.teacher.module.training
    average = run.model
    assert isinstance(average, Taught) and average is not task
    assert average.teacher is task.teacher and average.net is not task.net
    with safe_open(tmp_path / "checkpoint.safetensors", framework="pt") as file:
        assert not [key for key in file.keys() if "teacher" in key]  # noqa: SIM118 (not a mapping)
    assert task.to(torch.float64).teacher.module[0].weight.dtype == torch.float64


def test_roll_outs_see_the_weights_of_their_step() -> None:
    class Rolled(Taught):
        synchronous = True

    torch.manual_seed(0)
    task = Rolled(nn.Linear(4, 4))
    seen: list[Tensor] = []

    def rolled(step: int) -> Points:
        seen.append(task.net.weight.detach().clone())
        return points(4)(step)

    fit(task, rolled, torch.optim.SGD(task.parameters(), lr=0.1), steps=3)
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    assert len(seen) == 3
