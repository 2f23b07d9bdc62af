"""Other people's codecs from a folder with ``config.json`` and ``model.safetensors``, and ours written as theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import PartError
from vivavoce.hub import dac, encodec, mimi, speechtokenizer
from vivavoce.hub.adapter import adapt, folded
from vivavoce.hub.repository import ENCODERS
from vivavoce.models.codec import Codec
from vivavoce.systems.encodec import ChunkedCodec

FAMILIES: Mapping[str, ModuleType] = {family.TYPE: family for family in (encodec, mimi, dac, speechtokenizer)}
_WEIGHTS = "model.safetensors"


def load(folder: Path) -> Codec | ChunkedCodec:
    """The codec of a folder, in full precision and evaluation mode.

    Raises PartError when a file is missing or damaged, for kinds that are not known, and for tensors that are missing
    or left over.
    """
    try:
        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise ValueError("config.json holds no object")
        state = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise PartError(
            f"{folder} holds no codec that can be read ({error}); wanted config.json and {_WEIGHTS}: fetch it again"
        ) from error
    return codec_of(given, state)


def codec_of(given: Mapping[str, Any], state: Mapping[str, Tensor]) -> Codec | ChunkedCodec:
    """The codec of a ``config.json`` and its tensors."""
    kind = _kind(given)
    family = FAMILIES.get(str(kind))
    if family is None and kind in ENCODERS:
        raise PartError(
            f"a {kind} is an encoder and makes no tokens by itself; find units of one of its layers with: vivavoce "
            "train units --set features=encoder --with encoder=FOLDER --speech DIR"
        )
    if family is None:
        raise PartError(f"a codec of the kind {kind!r} is not known; known are {', '.join(FAMILIES)}")
    try:
        config = family.config_of(given)
        chunks = encodec.chunks_of(given) if family is encodec else None
    except KeyError as error:
        raise PartError(f"the config.json of this {kind} does not say {error}; fetch it again") from error
    tensors = folded({key: value.float() if value.is_floating_point() else value for key, value in state.items()})
    if family is mimi:
        tensors = mimi.entries(tensors)
    module = config.build()
    begun = {key: torch.ones_like(value) for key, value in module.state_dict().items() if key.endswith("usage")}
    made = adapt(tensors, family.rules(config), module, begun)
    assert isinstance(made, Codec)
    return made if chunks is None else ChunkedCodec(made, chunks)


def _kind(given: Mapping[str, Any]) -> Any:
    """The family that a ``config.json`` names, or the one that names itself by its numbers."""
    return speechtokenizer.TYPE if speechtokenizer.is_one(given) else given.get("model_type")


def write(codec: Codec | ChunkedCodec, folder: Path) -> Path:
    """Writes a codec as ``EncodecModel`` or ``MimiModel`` load it; gives the path of the weights.

    Raises PartError for codecs that have the form of neither.
    """
    problems = []
    made, chunks = (codec.codec, codec.chunks) if isinstance(codec, ChunkedCodec) else (codec, None)
    for family in (encodec,) if chunks is not None else (encodec, mimi):
        try:
            given, state = family.written(made)
        except PartError as error:
            problems.append(str(error))
            continue
        if chunks is not None:
            given |= encodec.given_chunks(chunks, made.config.sample_rate)
        with atomic_write(folder / "config.json") as path:
            path.write_text(json.dumps(given, indent=1) + "\n", encoding="utf-8")
        with atomic_write(folder / _WEIGHTS) as path:
            save_file({key: value.contiguous() for key, value in state.items()}, path, metadata={"format": "pt"})
        return folder / _WEIGHTS
    raise PartError("; ".join(problems))
