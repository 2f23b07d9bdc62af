"""Language models of text with published weights, in 32 bits: what speech language models grow from."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import StorageError
from vivavoce.hub.chat_folder import read_folder
from vivavoce.hub.chat_model import converted, file_of
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.gguf import read_gguf
from vivavoce.hub.llama import config_of, with_weights
from vivavoce.hub.published import Published
from vivavoce.models.lm import StreamLM


@dataclass(frozen=True, slots=True, kw_only=True)
class TextModel:
    """A language model that can be trained further, and its text."""

    lm: StreamLM
    text: ChatText


def load_text_model(choice: str | Path, window: int = 0) -> TextModel:
    """The model of a choice (see `chat_model.source_of`); ``window`` is how much of a context it keeps, 0: all it can.

    Raises PartError when there is none, when it is of a kind that cannot be taken, or when it was not made to chat.
    """
    published = _published(choice)
    text = ChatText.of(published, file_of(str(choice)).name)
    config = config_of(published.config)
    if window:
        config = replace(config, trunk=replace(config.trunk, window=min(window, config.trunk.window)))
    lm = with_weights(config, {name: published.tensor(name) for name in published.names})
    return TextModel(lm=lm, text=text)


def token_vectors(choice: str | Path, count: int) -> Float[Tensor, "V D"]:
    """The embeddings of a model's first ids as they were published, in 32 bits. PartError as of `load_text_model`.

    They are kept beside the converted model, as reading them out of what was published takes seconds.
    """
    kept = converted(file_of(str(choice))) / f"first-{count}.safetensors"
    with suppress(OSError, SafetensorError):
        return load_file(kept)["vectors"]
    found = _published(choice).tensor("model.embed_tokens.weight")[:count].float().contiguous()
    with suppress(StorageError), atomic_write(kept) as path:
        save_file({"vectors": found}, path)
    return found


def _published(choice: str | Path) -> Published:
    path = file_of(str(choice))
    return read_folder(path) if path.is_dir() else read_gguf(path)
