"""Modules whose children had other names when weights were saved."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn


def takes_earlier_names(module: nn.Module, earlier: Mapping[str, str]) -> None:
    """Lets a module load weights in which children have ``earlier`` names, as in ``{"told": "features"}``.

    Weights that it saves have the present ones.
    """
    module.register_load_state_dict_pre_hook(partial(_rename, dict(earlier)))


def _rename(earlier: Mapping[str, str], _: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    for old, new in earlier.items():
        before = f"{prefix}{old}."
        for key in [key for key in state if key.startswith(before)]:
            state[f"{prefix}{new}.{key.removeprefix(before)}"] = state.pop(key)
