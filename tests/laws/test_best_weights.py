"""Wherever a run is killed, it ends with the same best weights as one that was not, to the bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vivavoce.core.errors import TrainingError
from vivavoce.train import Best, Checkpoints, Losses, Run, Task, Term, Validate, fit
from vivavoce.train.loop import Hook
from vivavoce.train.recipe import hooks

STEPS = 24
HELD = torch.randn(8, 4, generator=torch.Generator().manual_seed(5))


class Doubling(Task[Tensor, Tensor]):
    """Learns y = 2x from x; what is held out is y = 1.2x, which it passes on its way."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))

    def outputs(self, batch: Tensor) -> Tensor:
        """Prediction."""
        return self.model(batch)

    def losses(self, phase: str, batch: Tensor, out: Tensor) -> Losses:
        """Squared error."""
        return {"error": Term((out - 2 * batch).square().mean())}


def batches(step: int) -> Tensor:
    return torch.randn(16, 4, generator=torch.Generator().manual_seed(step))


def measured(task: nn.Module) -> dict[str, float]:
    return {"tokens": float((task.get_submodule("model")(HELD) - 1.2 * HELD).square().mean()), "right": 0.5}


def seldom(folder: Path) -> tuple[Hook, ...]:
    """Nothing is saved by the clock."""
    kept = Checkpoints(folder, every_seconds=1e9, identity="doubling")
    return kept, Validate(folder / "dev.jsonl", measured, every_seconds=0.0, save=kept.save)


def of_recipes(folder: Path) -> tuple[Hook, ...]:
    """Saved after every step, before the step is measured."""
    return hooks(folder, "doubling", "doubling", measure=measured, checkpoint_seconds=0.0, measure_seconds=0.0)


class Kills:
    """Keeps what lies on the disk after each step: what a run that is killed there leaves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, run: Run) -> None: ...

    def step(self, run: Run) -> None:
        left = self.folder.parent / f"killed-{run.step}"
        left.mkdir()
        if (self.folder / "checkpoint.safetensors").exists():
            shutil.copy(self.folder / "checkpoint.safetensors", left)

    def end(self, run: Run) -> None: ...


def trained(seen: tuple[Hook, ...], ema: float = 0.0, best: Best | None = None) -> Best:
    torch.manual_seed(0)
    task = Doubling()
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.15)
    run = fit(task, batches, optimizer, steps=STEPS, ema=ema, best=best or Best(), hooks=seen)
    assert run.best is not None
    return run.best


@pytest.mark.parametrize("ema", [0.0, 0.5])
@pytest.mark.parametrize(("made", "at"), [(seldom, (1, 4, 10, 11, 24)), (of_recipes, (9, 10))])
def test_a_killed_run_ends_with_the_same_best_weights(
    made: Callable[[Path], tuple[Hook, ...]], at: tuple[int, ...], ema: float, tmp_path: Path
) -> None:
    whole = trained((*made(tmp_path / "whole"), Kills(tmp_path / "whole")), ema)
    lines = (tmp_path / "whole" / "dev.jsonl").read_text().splitlines()
    losses = [float(line.split('"tokens": ')[1].split(",")[0]) for line in lines]
    assert len(losses) == STEPS and whole.loss == min(losses)
    best = 1 + losses.index(whole.loss)
    assert 4 < best < 24 and (made is seldom or best in at), "there are kills before, right after and long after it"
    for step in at:
        again = trained(made(tmp_path / f"killed-{step}"), ema)
        assert (again.loss, again.measured) == (whole.loss, whole.measured), step
        assert again.weights.keys() == whole.weights.keys()
        for name, weight in whole.weights.items():
            assert torch.equal(weight, again.weights[name]), (step, name)


def test_weights_count_from_a_loss_on_and_are_copies(tmp_path: Path) -> None:
    task = Doubling()
    best = Best(least=0.5)
    assert not best.see(task, {"tokens": 0.5}) and not best.see(task, {"tokens": float("nan")})
    assert torch.equal(best.of(task)["0.weight"], task.get_parameter("model.0.weight"))
    assert best.see(task, {"tokens_1": 0.1, "tokens_2": 0.3, "right_1": 0.9})
    assert best.loss == pytest.approx(0.2)
    kept = task.get_parameter("model.0.weight").detach().clone()
    with torch.no_grad():
        task.get_parameter("model.0.weight").zero_()
    assert torch.equal(best.of(task)["0.weight"], kept)
    with pytest.raises(TrainingError, match="name a number that is measured"):
        best.see(task, {"right": 0.9})


def test_a_checkpoint_of_before_is_gone_on_with(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = Doubling()
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.15)
    fit(task, batches, optimizer, steps=6, hooks=(Checkpoints(tmp_path, identity="doubling"),))
    found = trained(seldom(tmp_path))
    assert found.weights and found.loss < 1.0


def test_what_takes_long_is_measured_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, taken = [0.0], [0.5, 30.0, 0.5]
    monkeypatch.setattr("vivavoce.train.hooks.time.monotonic", lambda: now[0])
    asked: list[int] = []

    def measure(_: nn.Module) -> dict[str, float]:
        asked.append(round(now[0]))
        now[0] += taken[len(asked) - 1]
        return {"wrong": 0.0}

    hook = Validate(tmp_path / "dev.jsonl", measure, every_seconds=10.0)
    run = Run(Doubling(), {}, STEPS)
    while len(asked) < 3:
        now[0] += 1.0
        hook.step(run)
    assert asked == [10, 20, 320]
