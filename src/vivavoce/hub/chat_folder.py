"""A chat model as a folder of the hub: ``config.json``, safetensors, ``tokenizer.json`` and its chat template."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.published import Published, cannot, json_of
from vivavoce.hub.repository import CHAT


def read_folder(folder: Path) -> Published:
    """A chat model of a folder; PartError when something is missing, damaged or of a kind that is not known here."""
    config = json_of(folder / "config.json")
    kind = config.get("model_type")
    if kind not in CHAT:
        raise cannot(folder, f"its architecture is {kind}, known are {', '.join(CHAT)}")
    if config.get("quantization_config"):
        raise cannot(folder, "its weights are quantised in a way that is not known")
    places: dict[str, Path] = {}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise PartError(f"there are no .safetensors files in {folder}; fetch the model again")
    for file in files:
        try:
            with safe_open(file, "pt") as tensors:
                places |= dict.fromkeys(tensors.keys(), file)
        except (SafetensorError, OSError) as error:
            raise PartError(f"{file} is damaged ({error}); fetch it again") from error

    def tensor(name: str) -> Tensor:
        with safe_open(places[name], "pt") as tensors:
            return tensors.get_tensor(name).to(torch.float32)

    described = _if_there(folder / "tokenizer_config.json")
    made = _if_there(folder / "generation_config.json")
    ends = made.get("eos_token_id", config.get("eos_token_id"))
    return Published(
        config=config,
        names=tuple(places),
        tensor=tensor,
        tokenizer=_text(folder / "tokenizer.json"),
        template=_template(folder, described),
        bos=_token(described.get("bos_token")),
        eos=_token(described.get("eos_token")),
        ends=tuple(ends) if isinstance(ends, list) else () if ends is None else (int(ends),),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PartError(f"{path.name} is missing in {path.parent}; fetch the model again") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PartError(f"{path} cannot be read ({error}); fetch the model again") from error


def _if_there(path: Path) -> dict[str, Any]:
    return json_of(path) if path.exists() else {}


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _template(folder: Path, described: dict[str, Any]) -> str:
    if (folder / "chat_template.jinja").exists():
        return _text(folder / "chat_template.jinja")
    found = described.get("chat_template") or ""
    if isinstance(found, list):  # several with names
        named = {entry.get("name"): entry.get("template") for entry in found}
        found = named.get("tool_use") or named.get("default") or ""
    return str(found)
