"""Checkpoints: one safetensors file that holds everything, written atomically; resume is exact.

Batches and random numbers are functions of the step (see `loop`), so weights, averaged weights, optimiser state and the
step are the whole of a run; and, where they are kept, the weights that did best so far.
"""

import json
import logging
import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import TrainingError
from vivavoce.train.loop import Run

log = logging.getLogger(__name__)


class Checkpoints:
    """Hook that saves a run every so many seconds and puts it back when it starts again.

    ``identity`` is a text that says what is trained (a configuration's dump); a checkpoint with another one is refused.
    """

    def __init__(self, folder: str | Path, *, every_seconds: float = 180.0, identity: str = "", resume: bool = True):
        self.path = Path(folder) / "checkpoint.safetensors"
        self.every_seconds = every_seconds
        self.identity = identity
        self.resume = resume
        self._last = time.monotonic()
        self._saved_step = -1

    def start(self, run: Run) -> None:
        """Puts an earlier run back, if there is one."""
        if self.resume and self.path.exists():
            restore(self.path, run, self.identity)
            self._saved_step = run.step
            log.info("resumed %s at step %d", self.path, run.step)
        self._last = time.monotonic()

    def step(self, run: Run) -> None:
        """Saves when the time has come."""
        if time.monotonic() - self._last >= self.every_seconds:
            self.end(run)

    def end(self, run: Run) -> None:
        """Saves what has not been saved."""
        if run.step != self._saved_step:
            self.save(run)
        self._last = time.monotonic()

    def save(self, run: Run) -> None:
        """Saves now."""
        save(self.path, run, self.identity)
        self._saved_step, self._last = run.step, time.monotonic()


def _pack(run: Run) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors = {f"task.{key}": value for key, value in run.task.state_dict().items()}
    if run.ema is not None:
        tensors |= {f"ema.{key}": value for key, value in run.ema.state_dict().items()}
    plain: dict[str, Any] = {"step": run.step, "audio_seconds": run.audio_seconds, "optimizers": {}}
    if run.best is not None and run.best.weights:
        tensors |= {f"best.{key}": value for key, value in run.best.weights.items()}
        plain["best"] = {"loss": run.best.loss, "measured": run.best.measured}
    for phase, optimizer in run.optimizers.items():
        state = optimizer.state_dict()
        scalars: dict[str, dict[str, Any]] = {}
        for index, entries in state["state"].items():
            for key, value in entries.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{phase}.{index}.{key}"] = value
                else:
                    scalars.setdefault(str(index), {})[key] = value
        plain["optimizers"][phase] = {"groups": state["param_groups"], "scalars": scalars}
    return tensors, plain


def save(path: Path, run: Run, identity: str = "") -> None:
    """Writes the whole state of a run into one file, atomically."""
    tensors, plain = _pack(run)
    # A tied weight appears under two names; safetensors wants storage of its own for each.
    owned = {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}
    with atomic_write(path) as temporary:
        save_file(owned, temporary, metadata={"run": json.dumps(plain), "identity": identity})


def restore(path: Path, run: Run, identity: str = "") -> None:
    """Puts the state of `save` into a run that was built the same way.

    Raises TrainingError when the file is damaged or belongs to another configuration.
    """
    advice = "train into another folder, or delete the file to begin anew"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        plain = json.loads(metadata["run"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise TrainingError(f"the checkpoint {path} is damaged ({error}); {advice}") from error
    if identity and metadata.get("identity") != identity:
        raise TrainingError(f"the checkpoint {path} belongs to another configuration; {advice}")
    try:
        run.task.load_state_dict({k[5:]: v for k, v in tensors.items() if k.startswith("task.")})
        if run.ema is not None:
            run.ema.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("ema.")})
        if run.best is not None and "best" in plain:
            run.best.loss, run.best.measured = plain["best"]["loss"], plain["best"]["measured"]
            run.best.weights = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
        for phase, optimizer in run.optimizers.items():
            saved = plain["optimizers"][phase]
            state: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in saved["scalars"].items()}
            for key, value in tensors.items():
                if key.startswith(f"optimizer.{phase}."):
                    index, name = key.removeprefix(f"optimizer.{phase}.").split(".", 1)
                    state.setdefault(int(index), {})[name] = value
            optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(f"the checkpoint {path} does not fit this model ({error}); {advice}") from error
    run.step, run.audio_seconds = plain["step"], plain["audio_seconds"]
