"""A transformer whose matrices differ from place to place, beside transformers' depth decoder with its weights."""

from dataclasses import replace

import pytest
import torch

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.placed import place
from vivavoce.nn.transformer import TransformerConfig

DIM, HEADS, HIDDEN, PLACES = 32, 2, 48, 5
CONFIG = TransformerConfig(
    dim=DIM, layers=2, heads=HEADS, kv_heads=HEADS, hidden=HIDDEN, window=PLACES, rotary=False, last_norm=False,
    norm_eps=1e-8,
)  # fmt: skip


def test_every_place_has_its_own_weights_as_in_moshi() -> None:
    moshi = pytest.importorskip("transformers.models.moshi.modeling_moshi")
    from transformers.models.moshi.configuration_moshi import MoshiDepthConfig

    torch.manual_seed(0)
    known = MoshiDepthConfig(
        vocab_size=11, hidden_size=DIM, input_size=DIM, num_hidden_layers=2, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, audio_vocab_size=7, max_position_embeddings=PLACES, num_codebooks=PLACES,
        sliding_window=PLACES, ffn_dim=2 * HIDDEN, rms_norm_eps=1e-8,
    )  # fmt: skip
    theirs = moshi.MoshiDepthDecoder(known).eval()
    ours = CONFIG.build().eval()
    place(ours, PLACES)
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    with torch.no_grad():
        for layer, other in zip(ours.layers, theirs.layers, strict=True):
            heads = [getattr(other.self_attn, f"{name}_proj").linear.weight for name in "qkv"]
            layer.qkv.weight.copy_(torch.cat(heads, dim=1))
            layer.out.weight.copy_(other.self_attn.o_proj.linear.weight)
            layer.up.weight.copy_(other.mlp.fc1.weight)
            layer.down.weight.copy_(other.mlp.fc2.weight)
            layer.before.weight.copy_(other.input_layernorm.weight)
            layer.between.weight.copy_(other.post_attention_layernorm.weight)
        hidden, given = torch.randn(3, DIM), torch.randn(3, PLACES, DIM)
        entered = torch.stack([hidden @ weight.T for weight in theirs.input_projections.weight], dim=1)
        wanted = theirs(
            input_ids=torch.zeros(3, PLACES, dtype=torch.long),  # counted, not looked at
            inputs_embeds=given.clone(),
            last_hidden_state=hidden[:, None].expand(-1, PLACES, -1),
            attention_mask=torch.ones(3, PLACES, dtype=torch.bool),
            use_cache=False,
        ).logits
        found = torch.einsum("bsd,svd->bsv", ours(given + entered), theirs.lm_heads.weight)
        assert torch.allclose(found, wanted, atol=1e-4, rtol=1e-4)
        short = ours((given + entered)[:, :2])  # a sequence may end early
        assert torch.allclose(short, ours(given + entered)[:, :2], atol=1e-6)


def test_what_places_cannot_do_is_said() -> None:
    module = CONFIG.build()
    place(module, PLACES)
    with pytest.raises(SpecError, match="got 6 places"):
        module.layers[0].out(torch.zeros(1, 6, DIM))
    with pytest.raises(ConfigError, match="no biases"):
        place(replace(CONFIG, bias=True).build(), PLACES)
