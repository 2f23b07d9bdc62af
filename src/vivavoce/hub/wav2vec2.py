"""wav2vec 2.0 (arXiv:2006.11477) with published weights, and what HuBERT and WavLM have of it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule, adapt, folded
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.attention import RelativeConfig
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.transformer import TransformerConfig

_WIDEST = 1 << 20
"""Frames: no limit to what a layer sees."""
_KINDS = ("weight", "bias")


def config_of(
    published: Mapping[str, Any], *, standardize: bool = True, relative: RelativeConfig | None = None
) -> EncoderConfig:
    """Our configuration of a ``config.json``; ``standardize`` as its ``preprocessor_config.json`` has it.

    PartError for what we cannot hold.
    """
    for name, wanted in (
        ("hidden_act", "gelu"),
        ("feat_extract_activation", "gelu"),
        ("conv_pos_batch_norm", False),
        ("add_adapter", False),
        ("adapter_attn_dim", None),
        ("num_feat_extract_layers", len(published["conv_dim"])),
    ):
        if published.get(name, wanted) != wanted:
            raise PartError(f"{name} is {published[name]!r}, and only {wanted!r} is known; choose another checkpoint")
    widths = set(published["conv_dim"])
    if len(widths) != 1 or published["feat_extract_norm"] not in ("group", "layer"):
        raise PartError("convolutions of several widths or with other norms are not known; choose another checkpoint")
    dim, heads = published["hidden_size"], published["num_attention_heads"]
    trunk = TransformerConfig(
        dim=dim,
        layers=published["num_hidden_layers"],
        heads=heads,
        kv_heads=heads,
        hidden=published["intermediate_size"],
        window=_WIDEST,
        causal=False,
        norm="layer",
        norm_eps=published["layer_norm_eps"],
        post=not published["do_stable_layer_norm"],
        gated=False,
        bias=True,
        rotary=False,
        relative=relative,
    )
    return EncoderConfig(
        front=WaveFrontConfig(
            dim=widths.pop(),
            kernels=tuple(published["conv_kernel"]),
            strides=tuple(published["conv_stride"]),
            norm=published["feat_extract_norm"],
            bias=published["conv_bias"],
            standardize=standardize,
        ),
        trunk=trunk,
        positions=ConvPositionsConfig(
            kernel=published["num_conv_pos_embeddings"], groups=published["num_conv_pos_embedding_groups"]
        ),
        norm_eps=published["layer_norm_eps"],
        front_norm=published.get("feat_proj_layer_norm", True),
    )


def rules(config: EncoderConfig) -> tuple[Rule, ...]:
    """How the tensors of a base model become an `Encoder`'s; weight norms are folded before."""
    front, trunk = config.front, config.trunk
    grouped = isinstance(front, WaveFrontConfig) and front.norm == "group"
    layer, conv = r"encoder\.layers\.(\d+)\.", r"feature_extractor\.conv_layers\.(\d+)\."
    made = [Rule((r"masked_spec_embed",), ("blank",))]
    for kind in _KINDS:
        qkv = tuple(rf"{layer}attention\.{name}_proj\.{kind}" for name in "qkv")
        made += [
            Rule((rf"{conv}conv\.{kind}",), (rf"front.convs.\1.{kind}",)),
            Rule((rf"{conv}layer_norm\.{kind}",), ("front.norms.0." + kind if grouped else rf"front.norms.\1.{kind}",)),
            Rule((rf"feature_projection\.layer_norm\.{kind}",), (f"norm.{kind}",)),
            Rule((rf"feature_projection\.projection\.{kind}",), (f"project.{kind}",)),
            Rule((rf"encoder\.pos_conv_embed\.conv\.{kind}",), (f"positions.conv.{kind}",)),
            Rule(qkv, (rf"trunk.layers.\1.qkv.{kind}",)),
            Rule((rf"{layer}attention\.out_proj\.{kind}",), (rf"trunk.layers.\1.out.{kind}",)),
            Rule((rf"{layer}layer_norm\.{kind}",), (rf"trunk.layers.\1.before.{kind}",)),
            Rule((rf"{layer}feed_forward\.intermediate_dense\.{kind}",), (rf"trunk.layers.\1.up.{kind}",)),
            Rule((rf"{layer}feed_forward\.output_dense\.{kind}",), (rf"trunk.layers.\1.down.{kind}",)),
            Rule((rf"{layer}final_layer_norm\.{kind}",), (rf"trunk.layers.\1.between.{kind}",)),
            Rule((rf"encoder\.layer_norm\.{kind}",), (f"trunk.norm.{kind}",)),
        ]
    if isinstance(trunk, TransformerConfig) and trunk.relative is not None:
        gate = rf"{layer}attention\.gru_rel_pos_"
        made += [
            Rule((r"encoder\.layers\.0\.attention\.rel_attn_embed\.weight",), ("trunk.relative.table",)),
            Rule((gate + "const",), (r"trunk.layers.\1.gate.scale",)),
            *(Rule((rf"{gate}linear\.{kind}",), (rf"trunk.layers.\1.gate.gate.{kind}",)) for kind in _KINDS),
        ]
    return tuple(made)


def encoder(published: Mapping[str, Any], state: Mapping[str, Tensor], *, standardize: bool = True) -> Encoder:
    """A base model, or the base of one with a head for pretraining or recognition, which is left out."""
    return adapted(config_of(published, standardize=standardize), state, "wav2vec2.")


_HEADS = ("quantizer.", "project_hid.", "project_q.", "lm_head.")


def adapted(config: EncoderConfig, state: Mapping[str, Tensor], prefix: str) -> Encoder:
    """An encoder with the tensors of a checkpoint, whose base may stand under a prefix beside heads."""
    base = {name.removeprefix(prefix): value for name, value in state.items() if not name.startswith(_HEADS)}
    base = folded(base)
    built = config.build()
    if built.blank is not None and "masked_spec_embed" not in base:  # fine-tuned models may have dropped it
        base["masked_spec_embed"] = built.blank.detach().clone().zero_()
    if "encoder.layers.0.attention.gru_rel_pos_const" in base:
        for name in [name for name in base if name.endswith("gru_rel_pos_const")]:
            base[name] = base[name].flatten()
    made = adapt(base, rules(config), built)
    assert isinstance(made, Encoder)
    return made
