"""A part on disk: ``name.json`` (what it is) beside ``name.safetensors`` (its weights).

The JSON holds the resolved configuration, a digest of the weights, and the card: recipe, commit, data with licences,
seed, time, metrics. Weights are safetensors only; half precision is widened to float32 when loaded.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from vivavoce.core import config as configs
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ConfigError, PartError

_FORMAT = 1


def save_part(
    folder: str | Path,
    name: str,
    config: Any,
    weights: nn.Module | dict[str, Tensor],
    card: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Writes a part atomically and gives the path of its JSON file.

    ``dtype`` narrows floating weights (``torch.float16`` halves the file); integer buffers stay as they are.
    Raises StorageError when nothing can be written.
    """
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    narrow = {
        key: (value.to(dtype) if dtype is not None and value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in state.items()
    }
    data = save_tensors(narrow)
    folder = Path(folder)
    with atomic_write(folder / f"{name}.safetensors") as path:
        path.write_bytes(data)
    described = {
        "format": _FORMAT,
        "config": configs.dump(config),
        "weights": {"file": f"{name}.safetensors", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        "card": card or {},
    }
    with atomic_write(folder / f"{name}.json") as path:
        path.write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    return folder / f"{name}.json"


def _describe(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    try:
        described = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise PartError(f"no part {name!r} in {folder}: {path.name} is missing; reinstall or train it") from error
    except (OSError, ValueError) as error:
        raise PartError(f"{path} cannot be read ({error}); reinstall or export the part again") from error
    if not isinstance(described, dict) or described.get("format") != _FORMAT or "config" not in described:
        raise PartError(f"{path} is not a vivavoce part of format {_FORMAT}; export it again with this version")
    return described


def read_card(folder: str | Path, name: str) -> dict[str, Any]:
    """The card of a part: how it was made and what was measured."""
    return _describe(Path(folder), name).get("card", {})


def load_weights(folder: str | Path, name: str) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and tensors of a part, checked against the digest in its JSON file."""
    folder = Path(folder)
    described = _describe(folder, name)
    path = folder / described["weights"]["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PartError(f"the weights {path} are missing; reinstall or export the part again") from error
    if hashlib.sha256(data).hexdigest() != described["weights"]["sha256"]:
        raise PartError(f"the weights {path} are damaged or do not belong to {name}.json; reinstall or export again")
    try:
        state = load_tensors(data)
        return configs.load(described["config"]), state
    except (SafetensorError, ConfigError) as error:
        raise PartError(f"the part {name!r} in {folder} cannot be loaded: {error}") from error


def load_part(folder: str | Path, name: str) -> Any:
    """Builds the module of a part and gives it its weights, in evaluation mode.

    Raises PartError when a file is missing or damaged, or when weights and configuration do not fit.
    """
    config, state = load_weights(folder, name)
    module = config.build()
    widened = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    try:
        module.load_state_dict(widened, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise PartError(f"the weights of {name!r} do not fit its configuration: {first}") from error
    return module.eval()
