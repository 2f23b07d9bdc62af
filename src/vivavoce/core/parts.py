"""A part on disk: ``name.json`` (what it is) beside ``name.safetensors`` (its weights).

The JSON holds the resolved configuration, a digest of the weights, and the card: recipe, commit, data with licences,
seed, time, metrics. Weights are safetensors only; half precision is loaded in the precision asked for, and so are 8-bit
matrices, whose rows each have a scale (``name::scale``). What a part has in common with one of a bundled model is not
stored again but borrowed from there, by name and digest.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
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
from vivavoce.core.places import WEIGHTS

_FORMAT = 1
_SCALE = "::scale"
_BETWEEN_TEXTS = re.compile(r'",\n +(?="(?:[^"\\]|\\.)*"[,\n])')
"""Of a list, as in a vocabulary, which stays on one line."""
_SMALLEST = 4096  # elements of a matrix that is worth 8 bits; what is smaller stays in half precision


def save_part(
    folder: str | Path,
    name: str,
    config: Any,
    weights: nn.Module | dict[str, Tensor],
    card: dict[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    borrowed: Mapping[str, str] | None = None,
    exact: Sequence[str] = (),
) -> Path:
    """Writes a part atomically and gives the path of its JSON file.

    ``dtype`` narrows floating weights: ``torch.float16`` halves the file, ``torch.int8`` quarters its matrices. Integer
    buffers stay as they are, and so do weights whose names begin as ``exact`` says: those that decide ids.
    ``borrowed`` says which weights are those of a bundled part, as in ``{"front.": "mini/listener", "book.":
    "speech/units/quantizer."}``: whatever is equal to the listener's weight of the same name behind the prefix, or to
    what is named after ``quantizer.`` in the units, is not written.
    Raises StorageError when nothing can be written.
    """
    state = weights.state_dict() if isinstance(weights, nn.Module) else weights
    debts: dict[str, Any] = {}
    for prefix, lender in (borrowed or {}).items():
        place, part, inner = _lender(lender)
        described, data = _read(place, part)
        theirs = _widened(load_tensors(data), torch.float32)
        same = {
            key for key, value in state.items()
            if key.startswith(prefix) and _equal(theirs.get(inner + key.removeprefix(prefix)), value.detach().cpu())
        }  # fmt: skip
        if same:
            state = {key: value for key, value in state.items() if key not in same}
            keys = sorted(key.removeprefix(prefix) for key in same)
            debts[prefix] = {"part": lender, "sha256": described["weights"]["sha256"], "keys": keys}
    narrow: dict[str, Tensor] = {}
    for key, value in state.items():
        kept = key.startswith(tuple(exact))
        narrow |= _narrowed(key, value.detach().cpu(), None if kept else dtype)
    data = save_tensors(narrow)
    folder = Path(folder)
    with atomic_write(folder / f"{name}.safetensors") as path:
        path.write_bytes(data)
    described = {
        "format": _FORMAT,
        "config": configs.dump(config),
        "weights": {"file": f"{name}.safetensors", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
        **({"borrowed": debts} if debts else {}),
        "card": card or {},
    }
    return _write_description(folder, name, described)


def _lender(lender: str) -> tuple[Path, str, str]:
    """The folder and the name of a bundled part, and how the names of the weights in it begin."""
    model, _, rest = lender.partition("/")
    name, _, inner = rest.partition("/")
    return WEIGHTS / model, name, inner


def _equal(theirs: Tensor | None, own: Tensor) -> bool:
    return theirs is not None and theirs.shape == own.shape and torch.equal(theirs.to(own.dtype), own)


def _lent(described: dict[str, Any]) -> Iterator[tuple[dict[str, str], bytes]]:
    """New names and those in a bundled part, and the bytes of that part, which are those that were borrowed from."""
    for prefix, debt in described.get("borrowed", {}).items():
        folder, part, inner = _lender(debt["part"])
        found, data = _read(folder, part)
        if found["weights"]["sha256"] != debt["sha256"]:
            raise PartError(
                f"weights of {prefix!r} are those of another version of {debt['part']} than the one that is installed; "
                "use the version of vivavoce that it was made with, or train it again"
            )
        yield {prefix + key: inner + key for key in debt["keys"]}, data


def _borrowed(described: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights that lie in bundled parts."""
    made: dict[str, Tensor] = {}
    for names, data in _lent(described):
        theirs = _widened(load_tensors(data), dtype)
        made |= {own: theirs[name] for own, name in names.items()}
    return made


def _narrowed(key: str, value: Tensor, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """What is stored for one tensor."""
    if dtype is None or not value.is_floating_point():
        return {key: value.contiguous()}
    if dtype != torch.int8:
        return {key: value.to(dtype).contiguous()}
    if value.ndim < 2 or value.numel() < _SMALLEST:
        return {key: value.half().contiguous()}
    rows = value.float().flatten(1)
    scale = rows.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
    whole = (rows / scale).round().to(torch.int8).reshape(value.shape)
    return {key: whole.contiguous(), key + _SCALE: scale[:, 0].contiguous()}


def _widened(state: dict[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The weights as a module takes them."""
    made: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.endswith(_SCALE):
            continue
        scale = state.get(key + _SCALE)
        if scale is not None:
            made[key] = (value.float() * scale.reshape(-1, *(1,) * (value.ndim - 1))).to(dtype)
        else:
            made[key] = value.to(dtype) if value.is_floating_point() else value
    return made


def _describe(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    try:
        described = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise PartError(f"no part {name!r} in {folder}: {path.name} is missing; reinstall or train it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise PartError(f"{path} cannot be read ({error}); reinstall or export the part again") from error
    if not isinstance(described, dict) or described.get("format") != _FORMAT or not _whole(described):
        raise PartError(f"{path} is not a vivavoce part of format {_FORMAT}; export it again with this version")
    return described


def _whole(described: dict[str, Any]) -> bool:
    """Whether a description says what is built, and which file of which digest holds its weights."""
    weights = described.get("weights")
    named = isinstance(weights, dict) and all(isinstance(weights.get(key), str) for key in ("file", "sha256"))
    return named and isinstance(described.get("config"), dict)


def read_card(folder: str | Path, name: str) -> dict[str, Any]:
    """The card of a part: how it was made and what was measured."""
    return _describe(Path(folder), name).get("card", {})


def borrowed_of(folder: str | Path, name: str) -> dict[str, str]:
    """What a part borrows, as `save_part` takes it; nothing for a part that has all of its weights."""
    return {prefix: debt["part"] for prefix, debt in _describe(Path(folder), name).get("borrowed", {}).items()}


def write_card(folder: str | Path, name: str, card: dict[str, Any]) -> Path:
    """Gives a part on disk another card, its weights untouched; the path of its JSON file."""
    folder = Path(folder)
    return _write_description(folder, name, _describe(folder, name) | {"card": card})


def _write_description(folder: Path, name: str, described: dict[str, Any]) -> Path:
    with atomic_write(folder / f"{name}.json") as path:
        text = json.dumps(described, indent=1, ensure_ascii=False)
        path.write_text(_BETWEEN_TEXTS.sub('", ', text) + "\n")
    return folder / f"{name}.json"


def _read(folder: Path, name: str) -> tuple[dict[str, Any], bytes]:
    """What a part is, and its weights' bytes, held against the digest in the JSON file."""
    described = _describe(folder, name)
    path = folder / described["weights"]["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PartError(f"the weights {path} are missing; reinstall or export the part again") from error
    if hashlib.sha256(data).hexdigest() != described["weights"]["sha256"]:
        raise PartError(f"the weights {path} are damaged or do not belong to {name}.json; reinstall or export again")
    return described, data


def copy_part(folder: str | Path, name: str, out: str | Path) -> None:
    """Puts a part into another folder as it is. PartError when it is missing or damaged."""
    described, data = _read(Path(folder), name)
    with atomic_write(Path(out) / f"{name}.safetensors") as path:
        path.write_bytes(data)
    _write_description(Path(out), name, described | {"weights": described["weights"] | {"file": f"{name}.safetensors"}})


def check_part(folder: str | Path, name: str) -> None:
    """Raises PartError when a part is missing or damaged; much faster than loading it."""
    for _ in _lent(_read(Path(folder), name)[0]):
        pass  # each is held against its digest


def load_weights(folder: str | Path, name: str, dtype: torch.dtype = torch.float32) -> tuple[Any, dict[str, Tensor]]:
    """Configuration and tensors of a part, checked against the digest in its JSON file."""
    described, data = _read(Path(folder), name)
    try:
        own = _widened(load_tensors(data), dtype)
        return configs.load(described["config"]), own | _borrowed(described, dtype)
    except (SafetensorError, ConfigError, KeyError) as error:
        raise PartError(f"the part {name!r} in {folder} cannot be loaded: {error}") from error


def load_part(folder: str | Path, name: str, dtype: torch.dtype = torch.float32) -> Any:
    """Builds the module of a part and gives it its weights, in this precision and in evaluation mode.

    Raises PartError when a file is missing or damaged, or when weights and configuration do not fit.
    """
    config, state = load_weights(folder, name, dtype)
    try:
        module = config.build().to(dtype)
    except (AttributeError, TypeError) as error:  # a value that is of another kind than its field
        raise PartError(
            f"{Path(folder) / name}.json says of {name!r} what cannot be built ({error}); reinstall or export the part "
            "again"
        ) from error
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise PartError(f"the weights of {name!r} do not fit its configuration: {first}") from error
    return module.eval()
