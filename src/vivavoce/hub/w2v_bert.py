"""w2v-BERT 2.0 (arXiv:2312.05187) with published weights: a Conformer over Kaldi's filter bank.

It was taught otherwise than w2v-BERT (`systems.w2vbert`): random-projection targets stand beside the learnt ones.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule, adapt
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.fbank_front import FbankFrontConfig
from vivavoce.nn.conformer import ConformerConfig


def config_of(published: Mapping[str, Any]) -> EncoderConfig:
    """Our configuration of a ``config.json``; PartError for what we cannot hold."""
    dim = published["hidden_size"]
    for name, wanted in (
        ("position_embeddings_type", "relative_key"),
        ("hidden_act", "swish"),
        ("add_adapter", False),
        ("use_intermediate_ffn_before_adapter", False),
    ):
        if published.get(name, wanted) != wanted:
            raise PartError(f"{name} is {published[name]!r}, and only {wanted!r} is known; choose another checkpoint")
    if published["feature_projection_input_dim"] % 2 or published["intermediate_size"] % dim:
        raise PartError("filter banks that are not stacked in pairs, or layers of other widths, are not known")
    trunk = ConformerConfig(
        dim=dim,
        layers=published["num_hidden_layers"],
        heads=published["num_attention_heads"],
        expand=published["intermediate_size"] // dim,
        kernel=published["conv_depthwise_kernel_size"],
        dropout=0.0,
        rate=Fraction(50),
        positions="keys",
        left=published["left_max_position_embeddings"],
        right=published["right_max_position_embeddings"],
        conv_bias=False,
        norm_eps=published["layer_norm_eps"],
    )
    return EncoderConfig(
        front=FbankFrontConfig(bins=published["feature_projection_input_dim"] // 2),
        trunk=trunk,
        norm_eps=published["layer_norm_eps"],
    )


def _rules() -> tuple[Rule, ...]:
    layer, block = r"encoder\.layers\.(\d+)\.", r"trunk.blocks.\1."
    made = [
        Rule((r"masked_spec_embed",), ("blank",)),
        Rule((rf"{layer}self_attn\.distance_embedding\.weight",), (f"{block}distances",)),
        Rule((rf"{layer}conv_module\.pointwise_conv1\.weight",), (f"{block}gate.weight",)),
        Rule((rf"{layer}conv_module\.depthwise_conv\.weight",), (f"{block}depth.weight",)),
        Rule((rf"{layer}conv_module\.pointwise_conv2\.weight",), (f"{block}point.weight",)),
    ]
    for kind in ("weight", "bias"):
        qkv = tuple(rf"{layer}self_attn\.linear_{name}\.{kind}" for name in "qkv")
        made += [
            Rule((rf"feature_projection\.layer_norm\.{kind}",), (f"norm.{kind}",)),
            Rule((rf"feature_projection\.projection\.{kind}",), (f"project.{kind}",)),
            Rule(qkv, (f"{block}qkv.{kind}",)),
            Rule((rf"{layer}self_attn\.linear_out\.{kind}",), (f"{block}out.{kind}",)),
            Rule((rf"{layer}self_attn_layer_norm\.{kind}",), (f"{block}attend_norm.{kind}",)),
            Rule((rf"{layer}conv_module\.layer_norm\.{kind}",), (f"{block}conv_norm.{kind}",)),
            Rule((rf"{layer}conv_module\.depthwise_layer_norm\.{kind}",), (f"{block}depth_norm.{kind}",)),
            Rule((rf"{layer}final_layer_norm\.{kind}",), (f"{block}norm.{kind}",)),
        ]
        for theirs, ours in (("1", "first"), ("2", "last")):
            made += [
                Rule((rf"{layer}ffn{theirs}_layer_norm\.{kind}",), (f"{block}{ours}.0.{kind}",)),
                Rule((rf"{layer}ffn{theirs}\.intermediate_dense\.{kind}",), (f"{block}{ours}.1.{kind}",)),
                Rule((rf"{layer}ffn{theirs}\.output_dense\.{kind}",), (f"{block}{ours}.3.{kind}",)),
            ]
    return tuple(made)


def encoder(published: Mapping[str, Any], state: Mapping[str, Tensor]) -> Encoder:
    """A base model, or the base of one that recognises, whose head is left out."""
    tensors = {
        name.removeprefix("wav2vec2_bert."): value for name, value in state.items() if not name.startswith("lm_head.")
    }
    for name, value in tensors.items():
        if "pointwise_conv" in name:  # convolutions over a single frame are matrices
            tensors[name] = value.squeeze(-1)
    built = config_of(published).build()
    if built.blank is not None and "masked_spec_embed" not in tensors:  # fine-tuned models may have dropped it
        tensors["masked_spec_embed"] = built.blank.detach().clone().zero_()
    made = adapt(tensors, _rules(), built)
    assert isinstance(made, Encoder)
    return made
