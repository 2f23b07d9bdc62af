"""The tensors of a ``model.bin`` of CTranslate2, read without that library; nothing in such a file is executed.

It holds, in little-endian order: the format's version, the name and revision of what is specified, and variables with
names, shapes, types and data; then other names for some of them. Eight-bit matrices have a scale per row beside them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from torch import Tensor

from vivavoce.core.errors import PartError

_VERSION: Final = 6
_TYPES: Final = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
_BFLOAT16: Final = 5
_MOST_VARIABLES: Final = 1 << 16
_MOST_AXES: Final = 8


@dataclass(frozen=True, slots=True)
class Specified:
    """What a file says it is (``WhisperSpec``), its variables and the other names of some."""

    spec: str
    tensors: dict[str, Tensor]
    aliases: dict[str, str]

    def number(self, name: str) -> int:
        """A variable without axes."""
        if name not in self.tensors or self.tensors[name].ndim:
            raise PartError(f"the model has no number {name!r}; convert it again with a recent CTranslate2")
        return int(self.tensors[name])


def read(path: Path) -> Specified:
    """All of a file, floating point widened to 32 bits. PartError when it is damaged, cut off or of another version."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _read(file, size)
    except (OSError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise PartError(f"{path} cannot be read as a CTranslate2 model ({error}); fetch it again") from error


def _read(file: BinaryIO, size: int) -> Specified:
    (version,) = _take(file, "<I")
    if version != _VERSION:
        raise ValueError(f"its format has the version {version}, wanted {_VERSION}")
    spec = _text(file)
    _, count = _take(file, "<II")
    if count > _MOST_VARIABLES:
        raise ValueError(f"it says that it has {count} variables")
    raw = dict(_variable(file, size) for _ in range(count))
    (others,) = _take(file, "<I")
    aliases = {_text(file): _text(file) for _ in range(min(others, _MOST_VARIABLES))}
    if foreign := sorted(set(aliases.values()) - raw.keys()):
        raise ValueError(f"a name stands for {foreign[0]!r}, which it does not have")
    return Specified(spec, dict(_widened(raw)), aliases)


def _take(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _text(file: BinaryIO) -> str:
    (length,) = _take(file, "<H")
    return file.read(length).rstrip(b"\0").decode()


def _variable(file: BinaryIO, size: int) -> tuple[str, Tensor]:
    name = _text(file)
    (axes,) = _take(file, "<B")
    if axes > _MOST_AXES:
        raise ValueError(f"{name!r} has {axes} axes")
    shape = _take(file, f"<{axes}I")
    kind, length = _take(file, "<BI")
    width = 2 if kind == _BFLOAT16 else np.dtype(_TYPES[kind]).itemsize if kind in _TYPES else 0
    if not width or length > size or length != width * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{name!r} has {length} bytes of the type {kind} for the shape {shape}")
    data = file.read(length)
    if len(data) != length:
        raise ValueError(f"it ends within {name!r}")
    if kind == _BFLOAT16:
        return name, torch.frombuffer(bytearray(data), dtype=torch.bfloat16).reshape(shape)
    return name, torch.from_numpy(np.frombuffer(data, _TYPES[kind]).reshape(shape).copy())


def _widened(raw: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Floats of 32 bits; eight-bit matrices multiplied out."""
    for name, value in raw.items():
        if name.endswith("weight_scale"):
            continue
        scale = raw.get(f"{name}_scale")
        if scale is not None:
            yield name, value.float() / scale.float().reshape(-1, *(1,) * (value.ndim - 1))
        else:
            yield name, value.float() if value.is_floating_point() else value
