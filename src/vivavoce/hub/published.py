"""Models as somebody published them: their JSON files, and a chat model's numbers, tensors, tokens and template."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vivavoce.core.errors import PartError


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What has to be known of a chat model. Tensors have the names of the transformers library and are made when they
    are asked for."""

    config: Mapping[str, Any]
    """As in its ``config.json``."""
    names: tuple[str, ...]
    tensor: Callable[[str], Tensor]
    tokenizer: str
    """As in its ``tokenizer.json``."""
    template: str
    bos: str = ""
    eos: str = ""
    ends: tuple[int, ...] = ()
    """Ids after which it says nothing more."""


def json_of(path: Path) -> dict[str, Any]:
    """The object in a model's JSON file; PartError when it cannot be read or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PartError(f"{path} cannot be read ({error}); fetch the model again") from error
    if not isinstance(found, dict):
        raise PartError(f"{path} holds no JSON object; fetch the model again")
    return found


def cannot(path: Path, why: str) -> PartError:
    """The one sentence for a model that we cannot take and others can."""
    return PartError(
        f"{path.name} cannot be taken here: {why}; serve it with llama.cpp or Ollama and give the address instead: "
        "--mind http://127.0.0.1:8080/v1#MODEL"
    )
