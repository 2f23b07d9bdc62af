"""GGUF, the files of llama.cpp: a chat model with its tokens and its template in one file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vivavoce.core.errors import MissingExtra, PartError
from vivavoce.hub.published import Published, cannot
from vivavoce.hub.tokens import tokenizer_json

_PLAIN = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
          "output.weight": "lm_head.weight"}  # fmt: skip
_LAYERED = {
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_output": "self_attn.o_proj",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_LEFT_OUT = frozenset({"rope_freqs.weight"})
_ARCHITECTURES = ("llama", "qwen2")
_CONTROL, _USER_DEFINED = 3, 4


def read_gguf(path: Path) -> Published:
    """A chat model of a GGUF file; PartError when it is damaged or of a kind that is not known here."""
    try:
        import gguf
    except ImportError as error:
        raise MissingExtra("GGUF files need the extra 'mind': pip install 'vivavoce[mind]'") from error
    try:
        reader = gguf.GGUFReader(path)
        fields = {name: field.contents() for name, field in reader.fields.items()}
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise PartError(f"{path} is no GGUF file or is damaged ({error}); fetch it again") from error
    architecture = str(fields.get("general.architecture"))
    if architecture not in _ARCHITECTURES:
        raise cannot(path, f"its architecture is {architecture}, known are {' and '.join(_ARCHITECTURES)}")
    numbers = {name.removeprefix(f"{architecture}."): value for name, value in fields.items()}
    tensors = {_published_name(path, tensor.name): tensor for tensor in reader.tensors if tensor.name not in _LEFT_OUT}
    if "rope_freqs.weight" in {tensor.name for tensor in reader.tensors}:
        numbers["rope.scaling.type"] = "frequencies of its own"
    heads = int(numbers["attention.head_count"])
    kv_heads = int(numbers.get("attention.head_count_kv", heads))

    def tensor(name: str) -> Tensor:
        found = tensors[name]
        try:
            wide = gguf.quants.dequantize(found.data, found.tensor_type)
        except NotImplementedError as error:
            raise cannot(path, f"weights of the type {found.tensor_type.name} are not known") from error
        except (ValueError, IndexError) as error:
            raise PartError(f"{path} is damaged at {found.name} ({error}); fetch it again") from error
        for part, count in (("q_proj", heads), ("k_proj", kv_heads)):
            if part in name and architecture == "llama":
                wide = _halved(wide, count)
        return torch.from_numpy(np.array(wide, dtype=np.float32))

    bos, eos, ends = _ends(fields)
    return Published(
        config=_config(path, architecture, numbers, tensors),
        names=tuple(tensors),
        tensor=tensor,
        tokenizer=_tokenizer(path, fields),
        template=str(fields.get("tokenizer.chat_template", "")),
        bos=bos,
        eos=eos,
        ends=ends,
    )


def _published_name(path: Path, name: str) -> str:
    if name in _PLAIN:
        return _PLAIN[name]
    block, _, rest = name.removeprefix("blk.").partition(".")
    part, _, kind = rest.rpartition(".")
    if not name.startswith("blk.") or part not in _LAYERED:
        raise cannot(path, f"nothing is known of its tensor {name}")
    return f"model.layers.{block}.{_LAYERED[part]}.{kind}"


def _halved(wide: np.ndarray, heads: int) -> np.ndarray:
    """Rows of rotary pairs one after the other become first halves before second halves."""
    size = wide.shape[0] // heads // 2
    return wide.reshape(heads, size, 2, *wide.shape[1:]).swapaxes(1, 2).reshape(wide.shape)


def _config(path: Path, architecture: str, numbers: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    try:
        scaled = str(numbers.get("rope.scaling.type", "none"))
        return {
            "model_type": architecture,
            "hidden_size": int(numbers["embedding_length"]),
            "num_hidden_layers": int(numbers["block_count"]),
            "num_attention_heads": int(numbers["attention.head_count"]),
            "num_key_value_heads": int(numbers.get("attention.head_count_kv", numbers["attention.head_count"])),
            "head_dim": numbers.get("attention.key_length"),
            "intermediate_size": int(numbers["feed_forward_length"]),
            "max_position_embeddings": int(numbers["context_length"]),
            "rope_theta": float(numbers.get("rope.freq_base", 10_000.0)),
            "rope_scaling": None if scaled == "none" else {"rope_type": scaled},
            "rms_norm_eps": float(numbers["attention.layer_norm_rms_epsilon"]),
            "vocab_size": int(tensors["model.embed_tokens.weight"].shape[-1]),
            "tie_word_embeddings": "lm_head.weight" not in tensors,
        }
    except KeyError as error:
        raise PartError(f"{path} does not say {error}; fetch it again") from error


def _ends(fields: Mapping[str, Any]) -> tuple[str, str, tuple[int, ...]]:
    """The tokens that texts begin and end with, and all ids that end a turn."""
    tokens: Sequence[str] = fields["tokenizer.ggml.tokens"]
    ids = [fields.get(f"tokenizer.ggml.{kind}_token_id") for kind in ("eos", "eot", "eom")]
    first = fields.get("tokenizer.ggml.bos_token_id")
    bos = tokens[int(first)] if first is not None else ""
    eos = tokens[int(ids[0])] if ids[0] is not None else ""
    return bos, eos, tuple(dict.fromkeys(int(id) for id in ids if id is not None))


def _tokenizer(path: Path, fields: Mapping[str, Any]) -> str:
    kind, splits = fields.get("tokenizer.ggml.model"), str(fields.get("tokenizer.ggml.pre", ""))
    if kind != "gpt2":
        raise cannot(path, f"its tokens are of the kind {kind}, known are byte pairs (gpt2)")
    types = fields.get("tokenizer.ggml.token_type") or ()
    tokens = list(fields["tokenizer.ggml.tokens"])
    special = [token for token, type in zip(tokens, types, strict=False) if type == _CONTROL]
    added = [token for token, type in zip(tokens, types, strict=False) if type == _USER_DEFINED]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    try:
        made = tokenizer_json(splits, tokens, merges, special, added)
    except Exception as error:  # what makes tokenizers raises nothing more special
        raise PartError(f"{path} has tokens that do not fit together ({error}); fetch it again") from error
    if made is None:
        raise cannot(path, f"how its text is split ({splits or 'not said'}) is not known")
    return made
