"""Hooks: what people see of a run. Progress on the terminal, JSON lines, curves as a picture and for TensorBoard."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vivavoce.core.atomic import atomic_write
from vivavoce.train.loop import ENDLESS, Run

_SMOOTH = 0.95
_REST = 9.0
"""Times as long as measuring took, it is not measured again."""


class _Quiet:
    """A hook that does nothing."""

    def start(self, run: Run) -> None:
        """Nothing."""

    def step(self, run: Run) -> None:
        """Nothing."""

    def end(self, run: Run) -> None:
        """Nothing."""


def _all(run: Run) -> int | None:
    """The steps of a run, unless it ends by the clock."""
    return run.steps if run.steps < ENDLESS else None


class Progress(_Quiet):
    """Bar with smoothed loss terms, audio seconds per second and time left; plain lines where there is no terminal."""

    def __init__(self, title: str, *, lines_every_seconds: float = 30.0):
        self.title = title
        self.lines_every_seconds = lines_every_seconds
        self.mean: dict[str, float] = {}
        self._bar: Bar | None = None
        self._last = 0.0

    def start(self, run: Run) -> None:
        """Opens the bar."""
        if Console(stderr=True).is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[terms]}"),
                console=Console(stderr=True),
            )
            self._bar.start()
            self._bar.add_task(self.title, total=_all(run), completed=run.step, terms="")

    def step(self, run: Run) -> None:
        """Moves the bar."""
        for name, value in run.losses.items():
            self.mean[name] = _SMOOTH * self.mean.get(name, value) + (1 - _SMOOTH) * value
        terms = "  ".join(f"{name} {value:.3f}" for name, value in self.mean.items())
        text = f"{run.audio_per_second:.0f} s/s  lr {run.lr:.1e}  |g| {run.grad_norm:.1f}  {terms}"
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=run.step, terms=text)
        elif time.monotonic() - self._last > self.lines_every_seconds:
            self._last = time.monotonic()
            print(f"{time.strftime('%H:%M:%S')} {self.title} {run.step}/{_all(run) or '?'}  {text}", flush=True)

    def end(self, run: Run) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.stop()


class JsonLines(_Quiet):
    """Appends one line of numbers every so many steps."""

    def __init__(self, path: str | Path, *, every: int = 20):
        self.path = Path(path)
        self.every = every

    def start(self, run: Run) -> None:
        """Cuts lines that a killed run wrote after the checkpoint it resumes from."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            kept = [line for line in self.path.read_text().splitlines() if json.loads(line)["step"] <= run.step]
            with atomic_write(self.path) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in kept))

    def step(self, run: Run) -> None:
        """Writes a line."""
        if run.step % self.every == 0 or run.step == run.steps:
            entry = {
                "step": run.step,
                "audio_seconds": round(run.audio_seconds, 1),
                "lr": run.lr,
                "grad": run.grad_norm,
            }
            with self.path.open("a") as file:
                file.write(json.dumps(entry | run.losses) + "\n")


class Validate(_Quiet):
    """Measures every so many seconds and at the end; the numbers go to a JSON-lines file and the terminal.

    What takes long is measured more seldom, so that it takes a tenth of the time at most; with 0 seconds after every
    step.

    Where the run keeps its best weights, ``save`` is called with it whenever there are new ones, so that a run that is
    killed does not lose them.
    """

    def __init__(
        self,
        path: str | Path,
        measure: Callable[[torch.nn.Module], Mapping[str, float]],
        *,
        every_seconds: float = 300.0,
        save: Callable[[Run], None] = lambda _: None,
    ):
        self.path = Path(path)
        self.measure = measure
        self.every_seconds = every_seconds
        self.save = save
        self._next = time.monotonic() + every_seconds

    def step(self, run: Run) -> None:
        """Measures when the time has come."""
        begun = time.monotonic()
        if begun < self._next and run.step != run.steps:
            return
        model = run.model
        training = model.training
        model.eval()
        with torch.no_grad():
            measured = self.measure(model)
        model.train(training)
        entry: dict[str, Any] = {"step": run.step, "audio_seconds": round(run.audio_seconds, 1), **measured}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in entry.items()), flush=True)
        if run.best is not None and run.best.see(model, measured):
            self.save(run)
        now = time.monotonic()
        self._next = now + (max(self.every_seconds, _REST * (now - begun)) if self.every_seconds else 0.0)


class Export(_Quiet):
    """Calls a function with the run every so many seconds and at the end, to write parts out."""

    def __init__(self, write: Callable[[Run], None], *, every_seconds: float = 600.0):
        self.write = write
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def step(self, run: Run) -> None:
        """Writes when the time has come."""
        if time.monotonic() - self._last >= self.every_seconds:
            self.write(run)
            self._last = time.monotonic()

    def end(self, run: Run) -> None:
        """Writes the last state."""
        self.write(run)


class Curves(_Quiet):
    """Draws the curves of a JSON-lines file as a PNG every so many seconds and at the end.

    Where the package ``tensorboard`` (extra ``train``) is installed, the numbers are also written for it, into the
    folder ``tensorboard`` beside the picture.
    """

    def __init__(self, source: str | Path, picture: str | Path, *, every_seconds: float = 300.0):
        self.source = Path(source)
        self.picture = Path(picture)
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def step(self, run: Run) -> None:
        """Draws when the time has come."""
        if time.monotonic() - self._last >= self.every_seconds:
            self.end(run)

    def end(self, run: Run) -> None:
        """Draws."""
        self._last = time.monotonic()
        if self.source.exists():
            draw_curves(self.source, self.picture)
            if find_spec("tensorboard") is not None:
                write_events(self.source, self.picture.parent / "tensorboard")


def write_events(source: Path, folder: Path) -> None:
    """The numbers of a JSON-lines file as TensorBoard's event files, made anew: a run that was resumed shows once."""
    from torch.utils.tensorboard import SummaryWriter

    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for row in map(json.loads, source.read_text().splitlines()):
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(name, value, row["step"])


def draw_curves(source: Path, picture: Path) -> None:
    """A small chart per number of a JSON-lines file."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in source.read_text().splitlines()]
    names = [
        name for name in dict.fromkeys(key for row in rows for key in row) if name not in ("step", "audio_seconds")
    ]
    if not rows or not names:
        return
    lines = (len(names) + 2) // 3
    figure = Figure(figsize=(10, 2.2 * lines))
    # in place of a layout that is searched for, which takes longer than all drawing
    figure.subplots_adjust(
        left=0.07, right=0.98, bottom=0.14 / lines, top=1 - 0.14 / lines, wspace=0.22, hspace=0.42
    )  # fmt: skip
    for index, name in enumerate(names):
        axes = figure.add_subplot(lines, 3, index + 1)
        points = [(row["step"], row[name]) for row in rows if name in row]
        axes.plot(*zip(*points, strict=True), linewidth=0.9)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    with atomic_write(picture) as temporary:
        figure.savefig(temporary, dpi=110)
