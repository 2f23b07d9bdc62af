"""A chat model as somebody published it, whatever the files: its numbers, its tensors, its tokens, its template."""

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


def cannot(path: Path, why: str) -> PartError:
    """The one sentence for a model that we cannot take and others can."""
    return PartError(
        f"{path.name} cannot be taken here: {why}; serve it with llama.cpp or Ollama and give the address instead: "
        "--mind http://127.0.0.1:8080/v1#MODEL"
    )
