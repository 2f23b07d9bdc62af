"""A recipe: all that ``vivavoce train NAME`` needs to know of something that can be trained.

Each module of `vivavoce.recipes` that trains a part has one as ``RECIPE``. What a run is handed is the same for all of
them, and so are what it logs (``losses.jsonl``), measures (``dev.jsonl``), draws and keeps (`hooks`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import nn

from vivavoce.core.config import dump
from vivavoce.core.errors import TrainingError
from vivavoce.train.checkpoint import Checkpoints
from vivavoce.train.hooks import Curves, Export, JsonLines, Progress, Validate
from vivavoce.train.loop import Hook, Run

SettingsT = TypeVar("SettingsT")
LOSSES, MEASURED = "losses.jsonl", "dev.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a run is handed: where it writes, what it learns from, and where it computes."""

    out: Path
    speech: Path | None = None
    """Recordings with a manifest."""
    start: Path | None = None
    """A folder with the part whose weights are gone on from."""
    others: Mapping[str, Path] = field(default_factory=dict)
    """Whatever else a recipe takes, by name: folders with other parts, corpora."""
    device: str = "cpu"
    say: Callable[[str], None] = print


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Generic[SettingsT]):
    """``train`` makes ``part`` by ``settings``; ``debug`` does it in miniature and gives the number before and after.

    ``needs`` and ``takes`` name what it is handed and say what for: ``speech``, ``from``, or a name of `Given.others`.
    """

    part: str
    settings: SettingsT
    train: Callable[[SettingsT, Given], None]
    debug: Callable[[Path], dict[str, float]]
    needs: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    on_cpu: bool = False
    """Whether it computes on the CPU only, as nothing or little of it is learnt by gradients."""
    entry: str = ""
    """Where it only adds to a part that another recipe made: the entry of the part's card that is its own."""

    def run(self, settings: SettingsT, given: Given) -> None:
        """Trains. TrainingError when something that it needs is missing, or what it does not take is given."""
        paths = {"speech": given.speech, "from": given.start, **given.others}
        present = {name for name, path in paths.items() if path is not None}
        if missing := sorted(self.needs.keys() - present):
            raise TrainingError(f"this recipe needs {_flag(missing[0])}: {self.needs[missing[0]]}")
        if foreign := sorted(present - self.needs.keys() - self.takes.keys()):
            known = ", ".join(_flag(name) for name in (*self.needs, *self.takes)) or "nothing of the kind"
            raise TrainingError(f"this recipe does not take {_flag(foreign[0])}; it takes {known}")
        if self.on_cpu and given.device != "cpu":
            raise TrainingError(f"this recipe computes on the CPU, got --device {given.device}; leave --device out")
        self.train(settings, given)


def _flag(name: str) -> str:
    return f"--{name}" if name in ("speech", "from") else f"--with {name}=PATH"


def begin_from(module: nn.Module, known: nn.Module, fresh: tuple[str, ...] = ()) -> None:
    """Gives a module the weights of a known one; names that begin like one of ``fresh`` may differ or be missing.

    Raises TrainingError when the two have different forms.
    """
    own = module.state_dict()
    state = {
        key: value
        for key, value in known.state_dict().items()
        if not key.startswith(fresh) or (key in own and own[key].shape == value.shape)
    }
    state |= {key: value for key, value in own.items() if key.startswith(fresh) and key not in state}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(f"cannot go on from weights of another form, change the settings: {error}") from error


def hooks(
    folder: Path,
    title: str,
    identity: Any,
    *,
    every: int = 20,
    measure: Callable[[nn.Module], Mapping[str, float]] | None = None,
    export: Callable[[Run], None] | None = None,
    checkpoint_seconds: float = 180.0,
    measure_seconds: float = 300.0,
) -> tuple[Hook, ...]:
    """What every run is seen by; ``identity`` is the configuration that a checkpoint belongs to.

    Without one nothing is kept, and the run begins anew each time: for runs of seconds. Checkpoints come first: what
    the others do depends on the step at which a run goes on.
    """
    kept = Checkpoints(folder, every_seconds=checkpoint_seconds, identity=json.dumps(dump(identity)))
    validate: tuple[Hook, ...] = ()
    if measure is not None:
        save = (lambda _: None) if identity is None else kept.save
        validate = (Validate(folder / MEASURED, measure, every_seconds=measure_seconds, save=save),)
    return (
        *((kept,) if identity is not None else ()),
        Progress(title),
        JsonLines(folder / LOSSES, every=every),
        *validate,
        Curves(folder / LOSSES, folder / "curves.png"),
        *((Export(export, every_seconds=checkpoint_seconds),) if export is not None else ()),
    )
