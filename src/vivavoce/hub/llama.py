"""Llama and what is built like it (arXiv:2307.09288): language models of text with published weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule, renamed
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig

_LAYER = r"model\.layers\.(\d+)\."


def config_of(published: Mapping[str, Any], window: int | None = None) -> StreamLMConfig:
    """Our configuration of a ``config.json``; ``window`` limits the context. PartError for what we cannot hold, and
    where something is missing."""
    try:
        return _config_of(published, window)
    except KeyError as error:
        raise PartError(f"the model's config.json does not say {error}; fetch the model again") from error


def _config_of(published: Mapping[str, Any], window: int | None) -> StreamLMConfig:
    scaling = published.get("rope_scaling") or published.get("rope_parameters") or {}
    if scaling.get("rope_type", "default") != "default" or published.get("attention_bias"):
        raise PartError("scaled rotary positions and attention biases are not known; choose a model without them")
    heads = published["num_attention_heads"]
    if published.get("head_dim") not in (None, published["hidden_size"] // heads):
        raise PartError(f"heads of {published['head_dim']} in a width of {published['hidden_size']} are not known")
    trunk = TransformerConfig(
        dim=published["hidden_size"],
        layers=published["num_hidden_layers"],
        heads=heads,
        kv_heads=published.get("num_key_value_heads") or heads,
        hidden=published["intermediate_size"],
        window=window or published["max_position_embeddings"],
        rope_base=published.get("rope_theta") or scaling.get("rope_theta", 10_000.0),
        norm_eps=published["rms_norm_eps"],
    )
    return StreamLMConfig(
        trunk=trunk, lanes=(published["vocab_size"],), tied=bool(published.get("tie_word_embeddings"))
    )


def rules(tied: bool, biased: bool = False) -> tuple[Rule, ...]:
    """How its tensors become a `StreamLM`'s; ``biased``: queries, keys and values have biases (Qwen2)."""
    biases = tuple(rf"{_LAYER}self_attn\.{name}_proj\.bias" for name in "qkv")
    projections = tuple(rf"{_LAYER}self_attn\.{name}_proj\.weight" for name in "qkv")
    return (
        Rule((r"model\.embed_tokens\.weight",), ("embed",)),
        Rule(projections, (r"trunk.layers.\1.qkv.weight",)),
        Rule((rf"{_LAYER}self_attn\.o_proj\.weight",), (r"trunk.layers.\1.out.weight",)),
        Rule((rf"{_LAYER}mlp\.gate_proj\.weight", rf"{_LAYER}mlp\.up_proj\.weight"), (r"trunk.layers.\1.up.weight",)),
        Rule((rf"{_LAYER}mlp\.down_proj\.weight",), (r"trunk.layers.\1.down.weight",)),
        Rule((rf"{_LAYER}input_layernorm\.weight",), (r"trunk.layers.\1.before.weight",)),
        Rule((rf"{_LAYER}post_attention_layernorm\.weight",), (r"trunk.layers.\1.between.weight",)),
        Rule((r"model\.norm\.weight",), ("trunk.norm.weight",)),
        Rule((r"lm_head\.weight",), () if tied else ("out",)),
        *((Rule(biases, (r"trunk.layers.\1.qkv.bias",)),) if biased else ()),
    )


def with_weights(config: StreamLMConfig, state: Mapping[str, Tensor]) -> StreamLM:
    """The model of a configuration with published weights in 32 bits.

    Biases that only queries, keys and values have (Qwen2) are zero elsewhere. PartError for weights that do not fit.
    """
    biased = any(name.endswith("q_proj.bias") for name in state)
    config = replace(config, trunk=replace(config.trunk, bias=biased))
    made = renamed(state, rules(config.tied, biased))
    model: StreamLM = config.build()
    for name, value in model.state_dict().items():
        if name.endswith(".bias"):
            made.setdefault(name, torch.zeros_like(value))
    try:
        model.load_state_dict(made)
    except RuntimeError as error:
        raise PartError(f"the weights do not fit the model's numbers: {error}") from error
    return model.eval()
