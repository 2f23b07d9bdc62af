"""Mimi's published weights (arXiv:2410.00037) in our codec, and ours as Mimi's, in the form of ``MimiModel``."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule, published
from vivavoce.hub.seanet import both, decoder_places, encodec_name, encoder_places, net_of, plain
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import SplitConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.mimi import mimi

TYPE = "mimi"
_LEAST_USE = 1e-5


def config_of(given: Mapping[str, Any]) -> CodecConfig:
    """Our configuration of a ``config.json``; PartError for what we cannot hold."""
    net = net_of(given)
    known = {
        "use_causal_conv": True, "pad_mode": "constant", "trim_right_ratio": 1.0, "hidden_act": "gelu",
        "attention_bias": False, "upsample_groups": net.dim,
    }  # fmt: skip
    if strange := [name for name, value in known.items() if given.get(name, value) != value]:
        raise PartError(f"{strange[0]} of {given[strange[0]]!r} is not known in a Mimi; wanted {known[strange[0]]!r}")
    rope = given.get("rope_parameters") or {"rope_theta": given.get("rope_theta", 10_000.0)}
    heads = given["num_attention_heads"]
    if rope.get("rope_type", "default") != "default" or given.get("head_dim") not in (None, net.dim // heads):
        raise PartError("scaled rotary positions, or heads of another width than their share, are not known in a Mimi")
    if given["codebook_dim"] != given["vector_quantization_hidden_dimension"]:
        raise PartError("a Mimi whose entries are not as wide as its projections is not known")
    trunk = TransformerConfig(
        dim=net.dim, layers=given["num_hidden_layers"], heads=heads, kv_heads=given["num_key_value_heads"],
        hidden=given["intermediate_size"], window=given["sliding_window"], rope_base=rope["rope_theta"], norm="layer",
        norm_eps=given["norm_eps"], gated=False, scaled=given["layer_scale_initial_scale"], last_norm=False,
    )  # fmt: skip
    return mimi(
        net=net,
        trunk=trunk,
        semantic=given["num_semantic_quantizers"],
        books=given["num_quantizers"],
        size=given["codebook_size"],
        code_dim=given["codebook_dim"] if given["codebook_dim"] != net.dim else 0,
        sample_rate=given["sampling_rate"],
    )


def rules(config: CodecConfig) -> tuple[Rule, ...]:
    """How its tensors, entries divided by their use (`entries`), become a `Codec`'s."""
    net, trunk, quantizer = _parts(config)
    made: list[Rule] = []
    for theirs, ours, offset, places in (
        ("encoder", "front", 0, encoder_places(net)),
        ("decoder", "back", 2, decoder_places(net, 2)),
    ):
        for place in places:
            made += both(encodec_name(place, f"{theirs}.layers.{place.number - offset}"), f"{ours}.{place.ours}")
    behind = 2 + len(net.strides) * (net.residuals + 2) + 1
    made += _trunk(trunk, "encoder_transformer", f"front.layers.{behind}.trunk")
    made += _trunk(trunk, "decoder_transformer", "back.layers.1.trunk")
    made.append(plain("downsample.conv.weight", f"front.layers.{behind + 1}.weight"))
    made.append(plain("upsample.conv.weight", "back.layers.0.weight"))
    for name, half in (("semantic", quantizer.semantic), ("acoustic", quantizer.acoustic)):
        stem, entries = f"quantizer.{name}_residual_vector_quantizer", (half.size, half.inner)
        books = tuple(rf"{stem}.layers.{book}.codebook.embed".replace(".", r"\.") for book in range(half.books))
        made.append(Rule(books, (f"quantizer.{name}.entries",), shape=(half.books, *entries), was=entries))
        for theirs, ours, wide in (
            (
                ("input_proj", "into", (half.inner, half.dim)),
                ("output_proj", "out", (half.dim, half.inner)),
            )
            if half.code_dim
            else ()
        ):
            source = f"{stem}.{theirs}.weight".replace(".", r"\.")
            made.append(Rule((source,), (f"quantizer.{name}.{ours}.weight",), shape=wide, was=(*wide, 1)))
    made.append(Rule((r"quantizer\..*\.codebook\.initialized",)))
    return tuple(made)


def entries(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with every entry in place of the sum of its vectors and of how often it was chosen."""
    made = dict(state)
    for key in [key for key in made if key.endswith(".codebook.embed_sum")]:
        stem = key.removesuffix("_sum")
        used = made.pop(f"{stem.removesuffix('embed')}cluster_usage", None)
        if used is None:
            raise PartError(f"the checkpoint has {key!r} and does not say how often its entries were used")
        made[stem] = made.pop(key) / used.clamp(min=_LEAST_USE)[:, None]
    return made


def given_of(config: CodecConfig) -> dict[str, Any]:
    """The ``config.json`` of a codec of this family; PartError for others."""
    net, trunk, quantizer = _parts(config)
    if net != SeanetConfig(
        dim=net.dim, channels=net.channels, strides=net.strides, kernel=net.kernel, last_kernel=net.last_kernel,
        residual_kernel=net.residual_kernel, residuals=net.residuals, dilation_base=net.dilation_base,
        compress=net.compress, skip=net.skip, wave_channels=net.wave_channels,
    ):  # fmt: skip
        raise PartError("only causal nets with zeros before the first sample can be written as Mimi")
    return {
        "model_type": TYPE, "architectures": ["MimiModel"], "sampling_rate": config.sample_rate,
        "audio_channels": net.wave_channels, "hidden_size": net.dim, "num_filters": net.channels,
        "num_residual_layers": net.residuals, "upsampling_ratios": list(reversed(net.strides)),
        "kernel_size": net.kernel, "last_kernel_size": net.last_kernel, "residual_kernel_size": net.residual_kernel,
        "dilation_growth_rate": net.dilation_base, "use_causal_conv": True, "pad_mode": "constant",
        "compress": net.compress, "trim_right_ratio": 1.0, "codebook_size": quantizer.size,
        "codebook_dim": quantizer.semantic.inner, "num_quantizers": quantizer.books,
        "use_conv_shortcut": net.skip == "conv",
        "vector_quantization_hidden_dimension": quantizer.semantic.inner,
        "num_semantic_quantizers": quantizer.semantic.books, "upsample_groups": net.dim,
        "num_hidden_layers": trunk.layers, "intermediate_size": trunk.hidden, "num_attention_heads": trunk.heads,
        "num_key_value_heads": trunk.kv_heads, "head_dim": trunk.head_dim, "hidden_act": "gelu",
        "norm_eps": trunk.norm_eps, "rope_parameters": {"rope_theta": trunk.rope_base, "rope_type": "default"},
        "sliding_window": trunk.window, "layer_scale_initial_scale": trunk.scaled, "attention_bias": False,
    }  # fmt: skip


def written(codec: Codec) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The ``config.json`` and the tensors of a codec as ``MimiModel`` loads them."""
    given = given_of(codec.config)
    state = published(codec, rules(codec.config))
    for key in [key for key in state if key.endswith(".codebook.embed")]:
        state[f"{key}_sum"] = state.pop(key)
        stem = key.removesuffix("embed")
        state[f"{stem}cluster_usage"] = torch.ones(len(state[f"{key}_sum"]))
        state[f"{stem}initialized"] = torch.ones(1)
    return given, state


def _parts(config: CodecConfig) -> tuple[SeanetConfig, TransformerConfig, SplitConfig]:
    front, back, quantizer = config.front, config.back, config.quantizer
    if (
        not isinstance(front, SeanetFrontConfig)
        or not isinstance(back, SeanetBackConfig)
        or not isinstance(quantizer, SplitConfig)
        or front.trunk is None
        or (front.net, front.trunk, 2, 2) != (back.net, back.trunk, front.stride, back.stride)
        or front.net.memory != "none"
        or not front.trunk.scaled
        or (front.trunk.gated, front.trunk.norm, front.trunk.last_norm) != (False, "layer", False)
        or quantizer.semantic.bias
        or quantizer.acoustic.bias
    ):
        raise PartError("only a codec of Mimi's form can be read or written as Mimi: systems.mimi.mimi")
    return front.net, front.trunk, quantizer


def _trunk(config: TransformerConfig, theirs: str, ours: str) -> Iterator[Rule]:
    for layer in range(config.layers):
        stem, own = f"{theirs}.layers.{layer}", f"{ours}.layers.{layer}"
        if config.kv_heads == config.heads:
            qkv = tuple(f"{stem}.self_attn.{name}_proj.weight".replace(".", r"\.") for name in "qkv")
            yield Rule(qkv, (f"{own}.qkv.weight",))
        else:
            raise PartError("a Mimi with fewer heads of keys than of queries is not known")
        yield plain(f"{stem}.self_attn.o_proj.weight", f"{own}.out.weight")
        yield plain(f"{stem}.mlp.fc1.weight", f"{own}.up.weight")
        yield plain(f"{stem}.mlp.fc2.weight", f"{own}.down.weight")
        yield from both(f"{stem}.input_layernorm", f"{own}.before")
        yield from both(f"{stem}.post_attention_layernorm", f"{own}.between")
        yield plain(f"{stem}.self_attn_layer_scale.scale", f"{own}.out_scale")
        yield plain(f"{stem}.mlp_layer_scale.scale", f"{own}.down_scale")
