"""Any repository of the Hugging Face hub as a model to be fetched: ``hf:OWNER/NAME``, or one GGUF file of it.

The hub says which files there are, in which revision, how large, with which digest and under which licence; what is
fetched is then pinned by these. Only files that hold weights, settings or texts are taken, never code or pickles.
"""

import hashlib
import json
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from vivavoce.core.errors import PartError
from vivavoce.hub.catalogue import KnownFile, KnownModel
from vivavoce.hub.sources import Address

PREFIX = "hf:"
ENDPOINT = "HF_ENDPOINT"
CODECS = ("encodec", "mimi", "dac")
"""Kinds of models that are codecs, as they call themselves."""
CHAT = ("llama", "mistral", "qwen2")
"""Kinds that are chat models."""
ENCODERS = ("wav2vec2", "hubert", "wavlm", "wav2vec2-bert", "whisper")
"""Kinds that are speech encoders, or begin with one."""
_OTHERS = ("t5",)
"""Kinds that are read for something else: T5 reads descriptions of voices."""
_HUB = "https://huggingface.co"
_TEXTS = frozenset(
    "config.json generation_config.json preprocessor_config.json tokenizer.json tokenizer_config.json "
    "special_tokens_map.json vocabulary.json vocabulary.txt chat_template.jinja LICENSE LICENSE.txt LICENSE.md".split()
)
_PICKLED = frozenset((".bin", ".pt", ".pth", ".ckpt"))
_MOST_LISTED = 16 << 20
"""Bytes of an answer or of a text; nothing that is larger is one."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A file that was read already."""

    data: bytes

    def read(self, begin: int) -> Iterator[bytes]:
        """The bytes."""
        yield self.data[begin:]


def repository_of(choice: str) -> KnownModel:
    """What ``hf:OWNER/NAME`` or ``hf:OWNER/NAME/FILE.gguf`` is, as the hub says it now.

    Raises PartError when there is no such repository, it cannot be reached, or it holds nothing that can be loaded, or
    a model of an architecture that is not known.
    """
    owner, _, rest = choice.removeprefix(PREFIX).partition("/")
    name, _, wanted = rest.partition("/")
    if not owner or not name:
        raise PartError(f"{choice} is no repository of the hub; wanted hf:OWNER/NAME or hf:OWNER/NAME/FILE.gguf")
    hub = os.environ.get(ENDPOINT, _HUB).rstrip("/")
    place = f"{urllib.parse.quote(owner)}/{urllib.parse.quote(name)}"
    try:
        info = json.loads(_whole(f"{hub}/api/models/{place}?blobs=true"))
        revision, files = str(info["sha"]), {str(file["rfilename"]): file for file in info["siblings"]}
    except (ValueError, KeyError, TypeError) as error:
        raise PartError(f"{hub} says nothing that can be understood of {owner}/{name}") from error
    kind, family, weights = _weights(f"{owner}/{name}", files, wanted)
    base = f"{hub}/{place}/resolve/{urllib.parse.quote(revision)}"
    texts = [] if family == "gguf" else sorted(_TEXTS & files.keys())
    paths = {PurePosixPath(file).name: file for file in [*texts, *weights]}  # a GGUF file may lie in a folder there
    known = {name: _known(f"{base}/{urllib.parse.quote(file)}", name, files[file]) for name, file in paths.items()}
    said = _said(known["config.json"]) if family == "safetensors" else ""
    if said and said not in (*CHAT, *CODECS, *ENCODERS, *_OTHERS):
        raise PartError(
            f"{choice} cannot be taken here: its architecture is {said}, known are "
            f"{', '.join((*CHAT, *CODECS, *ENCODERS))}; a chat model can be served with llama.cpp or Ollama: "
            "--mind http://127.0.0.1:8080/v1#MODEL. Nothing was fetched"
        )
    if said in (*CODECS, *ENCODERS):
        kind, family = "codec" if said in CODECS else "encoder", said
        needed = ("config.json", "model.safetensors", *(("preprocessor_config.json",) if kind == "encoder" else ()))
        known = {name: file for name, file in known.items() if name in needed}
    return KnownModel(
        name=choice,
        kind=kind,
        family=family,
        title=name,
        repository=f"{owner}/{name}",
        revision=revision,
        licence=_licence(info),
        credit=f"{owner}, https://huggingface.co/{owner}/{name}",
        files=tuple(known.values()),
    )


def _said(config: KnownFile) -> str:
    """The kind of model that a ``config.json`` names, if it does."""
    try:
        return str(json.loads(b"".join(config.source.read(0))).get("model_type") or "")
    except (ValueError, AttributeError):
        return ""


def _weights(place: str, files: Mapping[str, Any], wanted: str) -> tuple[Any, str, Sequence[str]]:
    """What a repository is for, how it is loaded, and the files with its weights."""
    quantised = sorted(file for file in files if file.endswith(".gguf"))
    if wanted:
        if wanted not in quantised:
            raise PartError(f"{place} has no GGUF file {wanted}; it has {', '.join(quantised) or 'none'}")
        return "mind", "gguf", [wanted]
    whole = sorted(file for file in files if file.endswith(".safetensors") and "/" not in file)
    if whole and "config.json" in files:
        return "mind", "safetensors", whole
    if {"model.bin", "config.json", "tokenizer.json"} <= files.keys() and {"vocabulary.txt", "vocabulary.json"} & set(
        files
    ):
        return "ears", "whisper-ct2", ["model.bin"]
    graphs = sorted(file for file in files if file.endswith(".onnx") and "/" not in file)
    if graphs and "voices.npz" in files:
        if len(graphs) > 1:
            raise PartError(f"{place} has {len(graphs)} .onnx files; a Kokoro is one of them and voices.npz")
        return "speaker", "kokoro", [*graphs, "voices.npz"]
    if len(quantised) == 1:
        return "mind", "gguf", quantised
    if quantised:
        raise PartError(f"{place} has {len(quantised)} GGUF files; name one: hf:{place}/{quantised[0]}")
    if any(PurePosixPath(file).suffix in _PICKLED for file in files):
        raise PartError(
            f"{place} has pickled weights only, which could run code and are not opened here; whoever trusts them "
            "converts them once with transformers (from_pretrained, save_pretrained), puts the JSON files beside them "
            "and gives the folder"
        )
    raise PartError(
        f"{place} has no weights that can be loaded here: safetensors, one GGUF file, a CTranslate2 Whisper, "
        "or a Kokoro (an .onnx file and voices.npz)"
    )


def _known(url: str, name: str, info: Mapping[str, Any]) -> KnownFile:
    """A file with its digest: of large ones the hub says it; small ones are read and compared with their git id."""
    large = info.get("lfs")
    if isinstance(large, Mapping):
        return KnownFile(name=name, bytes=int(large["size"]), sha256=str(large["sha256"]), source=Address(url))
    data = _whole(url)
    if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() != info.get("blobId"):
        raise PartError(f"{url} is not the file that was published (its digest differs); try again")
    return KnownFile(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), source=_Held(data))


def _licence(info: Mapping[str, Any]) -> str:
    card = info.get("cardData") or {}
    named = card.get("license") if isinstance(card, Mapping) else None
    tags = [tag.removeprefix("license:") for tag in info.get("tags", ()) if str(tag).startswith("license:")]
    name = str(named or (tags[0] if tags else "not stated"))
    return {"apache-2.0": "Apache-2.0", "mit": "MIT"}.get(name, name)


def _whole(url: str) -> bytes:
    found = bytearray()
    for block in Address(url).read(0):
        found += block
        if len(found) > _MOST_LISTED:
            raise PartError(f"{url} is larger than {_MOST_LISTED >> 20} MiB, which no text of a model is")
    return bytes(found)
