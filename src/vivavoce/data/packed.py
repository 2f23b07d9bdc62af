"""Utterances packed for fast training: features, phones and frame labels, end to end in one safetensors file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ManifestError

UNKNOWN = 255
"""Label of a frame whose phone nobody has told."""


@dataclass(frozen=True, slots=True)
class PhoneUtterance:
    """One utterance: log-mel frames, phones in order, and the phone of every second frame (or ``UNKNOWN``)."""

    mel: Float[Tensor, "M T"]
    phones: Sequence[int]
    labels: UInt8[Tensor, " U"]


@dataclass(frozen=True, slots=True)
class Packed:
    """Many utterances of one group."""

    frames: Float[Tensor, "N M"]
    labels: UInt8[Tensor, " N2"]
    phones: UInt8[Tensor, " P"]
    begins: Int[Tensor, " I"] = field(repr=False)
    label_begins: Int[Tensor, " I"] = field(repr=False)
    phone_begins: Int[Tensor, " I"] = field(repr=False)

    def __len__(self) -> int:
        """Number of utterances."""
        return len(self.begins) - 1

    def lengths(self) -> Int[Tensor, " I"]:
        """Frames of each utterance."""
        return self.begins.diff()

    def __getitem__(self, index: int) -> PhoneUtterance:
        """One utterance, features in float32."""
        begin, end = self.begins[index : index + 2].tolist()
        label, label_end = self.label_begins[index : index + 2].tolist()
        phone, phone_end = self.phone_begins[index : index + 2].tolist()
        return PhoneUtterance(
            self.frames[begin:end].T.float(), self.phones[phone:phone_end].tolist(), self.labels[label:label_end]
        )

    def save(self, path: str | Path) -> None:
        """Writes the file atomically."""
        tensors = {name: getattr(self, name) for name in self.__dataclass_fields__}
        with atomic_write(path) as temporary:
            save_file(tensors, temporary)


def pack(utterances: Iterable[PhoneUtterance]) -> Packed:
    """Packs utterances; features are kept in half precision."""
    frames, labels, phones = [], [], []
    for one in utterances:
        frames.append(one.mel.T.half().contiguous())
        labels.append(one.labels.to(torch.uint8))
        phones.append(torch.tensor(one.phones, dtype=torch.uint8))

    def begins(pieces: list[Tensor]) -> Tensor:
        return torch.tensor([0, *(len(piece) for piece in pieces)]).cumsum(0)

    return Packed(
        torch.cat(frames), torch.cat(labels), torch.cat(phones), begins(frames), begins(labels), begins(phones)
    )


def load_packed(path: str | Path) -> Packed:
    """Reads what `Packed.save` wrote; ManifestError when it is not such a file."""
    try:
        return Packed(**load_file(path))
    except (SafetensorError, TypeError, OSError) as error:
        raise ManifestError(f"{path} is not a file of packed utterances ({error}); make it again") from error
