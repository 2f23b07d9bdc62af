"""Chat models of other people, ready to read and write: converted once into 8 bits, kept in the data folder."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.places import data_folder
from vivavoce.hub.adapter import renamed
from vivavoce.hub.catalogue import catalogue, find
from vivavoce.hub.chat_folder import read_folder
from vivavoce.hub.chat_text import CHAT_FILE, ChatText
from vivavoce.hub.fetch import DESCRIPTION, folder_of, place
from vivavoce.hub.gguf import read_gguf
from vivavoce.hub.llama import config_of, rules
from vivavoce.hub.published import Published
from vivavoce.hub.template import ChatTemplate
from vivavoce.hub.tokens import ChatTokenizer
from vivavoce.models.lm import StreamLM
from vivavoce.nn.int8 import Int8Linear, rounded

WINDOW = 4096
"""Positions that are kept of a conversation; models that know fewer have theirs."""
_FORM = 1
"""Of what is kept; another number makes everything anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """A language model with its tokens and its template."""

    name: str
    lm: StreamLM
    tokenizer: ChatTokenizer
    template: ChatTemplate
    ends: frozenset[int]


def names() -> tuple[str, ...]:
    """Those of the catalogue."""
    return tuple(model.name for model in catalogue() if model.kind == "mind")


def source_of(choice: str) -> Path:
    """The file or folder of ``NAME``, ``FOLDER``, ``FILE.gguf`` or ``hf:OWNER/NAME``; PartError says what there is."""
    if choice in names():
        return place(find(choice))
    if choice.startswith("hf:"):
        folder = folder_of(choice)
        if not (folder / DESCRIPTION).is_file():  # a part of it may be
            raise PartError(f"{choice} is not on this machine; fetch it: vivavoce models get {choice}")
        return folder
    path = Path(choice)
    if not path.exists():
        raise PartError(
            f"there is no mind {choice!r}; give mini, one of {', '.join(names())}, a folder, a .gguf file, "
            "hf:OWNER/NAME, or an address: http://HOST:PORT/v1#MODEL"
        )
    return path


def file_of(choice: str) -> Path:
    """The GGUF file of a choice, or the folder with its ``config.json``; PartError when it is neither."""
    path = source_of(choice)
    if path.is_dir():
        inside = sorted(path.glob("*.gguf"))
        if len(inside) > 1 and not (path / "config.json").exists():
            raise PartError(f"{path} holds {len(inside)} GGUF files; give one of them")
        return inside[0] if inside and not (path / "config.json").exists() else path
    if path.suffix.lower() != ".gguf":
        raise PartError(f"{path} is no GGUF file; give one, or the folder of a model")
    return path


def load_chat(choice: str) -> ChatModel:
    """The chat model of a choice (see `source_of`), converted first if that was not done yet.

    Raises PartError when there is none or it is of a kind that cannot be taken, StorageError when there is no room.
    """
    lm, text = load_chat_lm(choice)
    name = choice if choice in names() or choice.startswith("hf:") else file_of(choice).stem
    return ChatModel(name=name, lm=lm, tokenizer=text.tokenizer, template=text.template, ends=text.ends)


def load_chat_lm(choice: str) -> tuple[StreamLM, ChatText]:
    """The weights of `load_chat`, which nobody else has, and its text."""
    path = file_of(choice)
    kept = converted(path)
    if not (kept / CHAT_FILE).exists():
        _convert(read_folder(path) if path.is_dir() else read_gguf(path), path, kept)
    text = ChatText.load(kept)
    lm: StreamLM = load_part(kept, "lm")
    for module in lm.modules():
        if isinstance(module, Int8Linear) and module is not lm.embed:
            module.pack()
    return lm, text


def converted(path: Path) -> Path:
    """The folder in which what was made of a model is kept, by all that it is read from; it may not be there yet."""
    return data_folder() / "converted" / _digest(path)


def _digest(path: Path) -> str:
    whole = hashlib.sha256(f"{_FORM} {WINDOW}".encode())
    parts = sorted(path.glob("*.json")) + sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    parts += sorted(path.glob("*.jinja")) if path.is_dir() else []
    try:
        for part in parts:
            with open(part, "rb") as file:
                whole.update(part.name.encode() + hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise PartError(f"{path} cannot be read ({error.strerror or error})") from error
    return whole.hexdigest()[:32]


def _convert(published: Published, path: Path, kept: Path) -> None:
    """Writes a model in 8 bits; ``chat.json`` is written last and is what makes the folder whole."""
    text = ChatText.of(published, path.name)
    config = config_of(published.config)
    config = replace(
        config, trunk=replace(config.trunk, window=min(config.trunk.window, WINDOW), bits=8, bias=_biased(published))
    )
    whole: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    for name in published.names:
        tensor = published.tensor(name)
        if tensor.ndim == 2:
            whole[name], scales[name] = rounded(tensor)
        else:
            whole[name] = tensor
    table = rules(config.tied, biased=config.trunk.bias)
    state = {_place(name, value): value for name, value in renamed(whole, table).items()}
    scale_of = renamed(scales, [rule for rule in table if rule.of[0].endswith("weight") and _matrix(rule.of[0])])
    state |= {name.removesuffix(".weight") + ".scale": value for name, value in scale_of.items()}
    model = config.build()
    for name, value in model.state_dict().items():
        if name.endswith(".bias"):  # some have them beside the queries only
            state.setdefault(name, torch.zeros_like(value))
    save_part(kept, "lm", config, state, {"made of": path.name})
    text.save(kept)


def _biased(published: Published) -> bool:
    return any(name.endswith("q_proj.bias") for name in published.names)


def _matrix(pattern: str) -> bool:
    return "norm" not in pattern


def _place(name: str, value: Tensor) -> str:
    """Where a tensor stands in a model of 8 bits."""
    return f"{name.removesuffix('.weight')}.whole" if value.ndim == 2 else name
