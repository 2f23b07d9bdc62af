"""Whisper with published weights as a model of ours: from the transformers library's files, or from CTranslate2's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub import ctranslate2_file
from vivavoce.hub.adapter import Rule, adapt
from vivavoce.hub.published import json_of
from vivavoce.systems.whisper import WhisperModel, Writing, prompt_of, sized

_GELU = 3
"""CTranslate2's number of the activation."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model, the ids of its special tokens by name, and the ids that it was published to leave out."""

    model: WhisperModel
    special: Mapping[str, int]
    never: tuple[int, ...] = ()
    not_first: tuple[int, ...] = ()

    def writing(self, language: str = "en") -> Writing:
        """How it transcribes speech of a language."""
        prompt = prompt_of(dict(self.special), language)
        return Writing(prompt=prompt, end=self.special["<|endoftext|>"], never=self.never, not_first=self.not_first)


def from_ctranslate2(folder: Path) -> Loaded:
    """A folder with ``model.bin``, ``config.json`` and ``tokenizer.json``, as faster-whisper has it.

    PartError when a file is missing, damaged, or of another kind of model.
    """
    found = ctranslate2_file.read(folder / "model.bin")
    if found.spec != "WhisperSpec":
        raise PartError(f"{folder / 'model.bin'} holds a {found.spec}, wanted a WhisperSpec")
    for name, wanted in (
        ("decoder/pre_norm", 1), ("decoder/scale_embeddings", 0), ("decoder/alibi", 0), ("decoder/activation", _GELU),
    ):  # fmt: skip
        if found.number(name) != wanted:
            raise PartError(f"{name} is {found.number(name)} in {folder}, and only {wanted} is known")
    shapes = {name: tuple(value.shape) for name, value in found.tensors.items()}
    try:
        config = sized(
            dim=shapes["decoder/embeddings/weight"][1],
            layers=(_count(shapes, "encoder"), _count(shapes, "decoder")),
            heads=(found.number("encoder/num_heads"), found.number("decoder/num_heads")),
            hidden=(
                shapes["encoder/layer_0/ffn/linear_0/weight"][0],
                shapes["decoder/layer_0/ffn/linear_0/weight"][0],
            ),
            bins=shapes["encoder/conv1/weight"][1],
            seconds=shapes["encoder/position_encodings/encodings"][0] // 50,
            places=shapes["decoder/position_encodings/encodings"][0],
            vocabulary=shapes["decoder/embeddings/weight"][0],
        )
    except KeyError as error:
        raise PartError(f"{folder / 'model.bin'} has no {error.args[0]!r}; fetch the model again") from error
    tensors = {name: value for name, value in found.tensors.items() if value.ndim}
    made = adapt(tensors, _CTRANSLATE2, config.build())
    assert isinstance(made, WhisperModel)
    published = json_of(folder / "config.json")
    tokens = json_of(folder / "tokenizer.json").get("added_tokens", ())
    special = {token["content"]: int(token["id"]) for token in tokens}
    return Loaded(
        made,
        special,
        tuple(published.get("suppress_ids") or ()),
        tuple(published.get("suppress_ids_begin") or ()),
    )


def model(published: Mapping[str, Any], state: Mapping[str, Tensor]) -> WhisperModel:
    """A model of the transformers library: its ``config.json`` and its tensors.

    PartError for what we cannot hold, and for tensors that are missing or not known.
    """
    if published["activation_function"] != "gelu" or published["scale_embedding"]:
        raise PartError("only GELU and embeddings that are not scaled are known; choose another checkpoint")
    dim = published["d_model"]
    config = sized(
        dim=dim,
        layers=(published["encoder_layers"], published["decoder_layers"]),
        heads=(published["encoder_attention_heads"], published["decoder_attention_heads"]),
        hidden=(published["encoder_ffn_dim"], published["decoder_ffn_dim"]),
        bins=published["num_mel_bins"],
        seconds=published["max_source_positions"] // 50,
        places=published["max_target_positions"],
        vocabulary=published["vocab_size"],
    )
    tensors = {name.removeprefix("model."): value for name, value in state.items() if name != "proj_out.weight"}
    for name in [name for name in tensors if name.endswith("k_proj.weight")]:  # keys have no bias there
        tensors[name.replace("weight", "bias")] = torch.zeros(dim)
    made = adapt(tensors, _rules(), config.build())
    assert isinstance(made, WhisperModel)
    return made


def _count(shapes: Mapping[str, Any], side: str) -> int:
    return sum(re.fullmatch(rf"{side}/layer_\d+/ffn/linear_0/weight", name) is not None for name in shapes)


_SIDES = (("encoder", "encoder.trunk"), ("decoder", "decoder"))


def _ct2_rules() -> tuple[Rule, ...]:
    made: list[Rule] = [
        Rule(("encoder/position_encodings/encodings",), ("encoder.positions.places",)),
        Rule(("decoder/position_encodings/encodings",), ("places",)),
        Rule(("decoder/embeddings/weight",), ("embed",)),
        Rule(("decoder/alignment_heads",)),
    ]
    for theirs, ours in (("weight", "weight"), ("bias", "bias")):
        for number, name in ((1, "first"), (2, "second")):
            made.append(Rule((f"encoder/conv{number}/{theirs}",), (f"encoder.front.{name}.{ours}",)))
        for side, trunk in _SIDES:
            layer, to = rf"{side}/layer_(\d+)/", rf"{trunk}.layers.\1."
            made += [
                Rule((f"{layer}self_attention/linear_0/{theirs}",), (f"{to}qkv.{ours}",)),
                Rule((f"{layer}self_attention/linear_1/{theirs}",), (f"{to}out.{ours}",)),
                Rule((f"{layer}ffn/linear_0/{theirs}",), (f"{to}up.{ours}",)),
                Rule((f"{layer}ffn/linear_1/{theirs}",), (f"{to}down.{ours}",)),
                *(
                    Rule((f"{layer}attention/linear_{n}/{theirs}",), (f"{to}cross.{name}.{ours}",))
                    for n, name in enumerate(("query", "kv", "out"))
                ),
            ]
    for theirs, ours in (("gamma", "weight"), ("beta", "bias")):
        for side, trunk in _SIDES:
            layer, to = rf"{side}/layer_(\d+)/", rf"{trunk}.layers.\1."
            made += [
                Rule((f"{layer}self_attention/layer_norm/{theirs}",), (f"{to}before.{ours}",)),
                Rule((f"{layer}ffn/layer_norm/{theirs}",), (f"{to}between.{ours}",)),
                Rule((f"{layer}attention/layer_norm/{theirs}",), (f"{to}cross_norm.{ours}",)),
                Rule((f"{side}/layer_norm/{theirs}",), (f"{trunk}.norm.{ours}",)),
            ]
    return tuple(made)


_CTRANSLATE2 = _ct2_rules()


def _rules() -> tuple[Rule, ...]:
    made: list[Rule] = [
        Rule((r"encoder\.embed_positions\.weight",), ("encoder.positions.places",)),
        Rule((r"decoder\.embed_positions\.weight",), ("places",)),
        Rule((r"decoder\.embed_tokens\.weight",), ("embed",)),
    ]
    for kind in ("weight", "bias"):
        for number, name in ((1, "first"), (2, "second")):
            made.append(Rule((rf"encoder\.conv{number}\.{kind}",), (f"encoder.front.{name}.{kind}",)))
        for side, trunk in _SIDES:
            layer, to = rf"{side}\.layers\.(\d+)\.", rf"{trunk}.layers.\1."
            own = tuple(rf"{layer}self_attn\.{name}_proj\.{kind}" for name in "qkv")
            cross = tuple(rf"{layer}encoder_attn\.{name}_proj\.{kind}" for name in "kv")
            made += [
                Rule(own, (f"{to}qkv.{kind}",)),
                Rule((rf"{layer}self_attn\.out_proj\.{kind}",), (f"{to}out.{kind}",)),
                Rule((rf"{layer}self_attn_layer_norm\.{kind}",), (f"{to}before.{kind}",)),
                Rule((rf"{layer}encoder_attn\.q_proj\.{kind}",), (f"{to}cross.query.{kind}",)),
                Rule(cross, (f"{to}cross.kv.{kind}",)),
                Rule((rf"{layer}encoder_attn\.out_proj\.{kind}",), (f"{to}cross.out.{kind}",)),
                Rule((rf"{layer}encoder_attn_layer_norm\.{kind}",), (f"{to}cross_norm.{kind}",)),
                Rule((rf"{layer}fc1\.{kind}",), (f"{to}up.{kind}",)),
                Rule((rf"{layer}fc2\.{kind}",), (f"{to}down.{kind}",)),
                Rule((rf"{layer}final_layer_norm\.{kind}",), (f"{to}between.{kind}",)),
                Rule((rf"{side}\.layer_norm\.{kind}",), (f"{trunk}.norm.{kind}",)),
            ]
    return tuple(made)
