"""Other people's speech encoders from a folder: ``config.json`` and ``model.safetensors``, or CTranslate2's Whisper."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub import hubert, w2v_bert, wav2vec2, wavlm, whisper_encoder
from vivavoce.hub.catalogue import find
from vivavoce.hub.fetch import folder_of, place
from vivavoce.hub.repository import PREFIX
from vivavoce.models.encoder import Encoder

_Load = Callable[..., Encoder]
_WAVES: Mapping[str, _Load] = {"wav2vec2": wav2vec2.encoder, "hubert": hubert.encoder, "wavlm": wavlm.encoder}
_WEIGHTS = "model.safetensors"


def open_encoder(choice: str | Path) -> Encoder:
    """The encoder of a folder, of a fetched repository (``hf:OWNER/NAME``) or of a name of the catalogue.

    Raises PartError when it is not there, and says how it is fetched.
    """
    text = str(choice)
    if text.startswith(PREFIX):
        folder = folder_of(text)
        if not folder.is_dir():
            raise PartError(f"{choice} is not on this machine; fetch it: vivavoce models get {choice}")
        return load(folder)
    if isinstance(choice, Path) or "/" in text or Path(text).is_dir():
        return load(Path(choice))
    return load(place(find(text)))


def load(folder: Path) -> Encoder:
    """The encoder of a folder, in full precision and evaluation mode.

    Raises PartError when a file is missing or damaged, for kinds that are not known, and for tensors that are missing
    or left over.
    """
    if (folder / "model.bin").is_file():
        return whisper_encoder.from_ctranslate2(folder).model.encoder
    try:
        given = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(given, dict):
            raise ValueError("config.json holds no object")
        state = load_file(folder / _WEIGHTS)
        prepared = folder / "preprocessor_config.json"
        about = json.loads(prepared.read_text(encoding="utf-8")) if prepared.is_file() else {}
    except (OSError, ValueError, SafetensorError) as error:
        raise PartError(
            f"{folder} holds no encoder that can be read ({error}); wanted config.json and {_WEIGHTS}: fetch it again"
        ) from error
    return encoder_of(given, state, standardize=bool(about.get("do_normalize", True)))


def encoder_of(given: Mapping[str, Any], state: Mapping[str, Tensor], *, standardize: bool = True) -> Encoder:
    """The encoder of a ``config.json`` and its tensors; ``standardize``: waves are brought to unit variance first."""
    kind = given.get("model_type")
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    try:
        if kind in _WAVES:
            return _WAVES[str(kind)](given, tensors, standardize=standardize)
        if kind == "wav2vec2-bert":
            return w2v_bert.encoder(given, tensors)
        if kind == "whisper":
            return whisper_encoder.model(given, tensors).encoder
    except KeyError as error:
        raise PartError(f"the config.json of this {kind} does not say {error}; fetch it again") from error
    known = ", ".join((*_WAVES, "wav2vec2-bert", "whisper"))
    raise PartError(f"an encoder of the kind {kind!r} is not known; known are {known}")
