"""The Q-Former beside BLIP-2's with the same random weights; windows of half a minute."""

import pytest
import torch

from vivavoce.hub.adapter import Rule, adapt
from vivavoce.nn.qformer import WindowQFormerConfig, qformer_trunk

transformers = pytest.importorskip("transformers")


def test_it_is_blip_2_s_over_windows() -> None:
    torch.manual_seed(0)
    published = transformers.Blip2QFormerConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, encoder_hidden_size=24,
        cross_attention_frequency=1, vocab_size=10, initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.Blip2QFormerModel(published).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    config = WindowQFormerConfig(trunk=qformer_trunk(32, 2, 4, 48, 24), window=5, queries=2)
    layer = r"encoder\.layer\.(\d+)\."
    rules = []
    for kind in ("weight", "bias"):
        qkv = tuple(rf"{layer}attention\.attention\.{name}\.{kind}" for name in ("query", "key", "value"))
        kv = tuple(rf"{layer}crossattention\.attention\.{name}\.{kind}" for name in ("key", "value"))
        moved = {
            rf"{layer}attention\.output\.dense\.{kind}": rf"layers.\1.out.{kind}",
            rf"{layer}attention\.output\.LayerNorm\.{kind}": rf"layers.\1.before.{kind}",
            rf"{layer}crossattention\.attention\.query\.{kind}": rf"layers.\1.cross.query.{kind}",
            rf"{layer}crossattention\.output\.dense\.{kind}": rf"layers.\1.cross.out.{kind}",
            rf"{layer}crossattention\.output\.LayerNorm\.{kind}": rf"layers.\1.cross_norm.{kind}",
            rf"{layer}intermediate_query\.dense\.{kind}": rf"layers.\1.up.{kind}",
            rf"{layer}output_query\.dense\.{kind}": rf"layers.\1.down.{kind}",
            rf"{layer}output_query\.LayerNorm\.{kind}": rf"layers.\1.between.{kind}",
            rf"layernorm\.{kind}": f"norm.{kind}",
        }
        rules += [Rule(qkv, (rf"layers.\1.qkv.{kind}",)), Rule(kv, (rf"layers.\1.cross.kv.{kind}",))]
        rules += [Rule((name,), (to,)) for name, to in moved.items()]
    rules.append(Rule((rf"{layer}(?:intermediate|output)\..*",)))  # of words
    ours = config.build().eval()
    adapt(theirs.state_dict(), rules, ours.trunk)
    frames = torch.randn(2, 23, 24)
    with torch.no_grad():
        found = ours(frames)
        assert found.shape == (2, 4 * 2, 32)
        for window in range(4):
            queries = ours.queries.expand(2, -1, -1)
            wanted = theirs(queries, encoder_hidden_states=frames[:, 5 * window : 5 * window + 5]).last_hidden_state
            assert (found[:, 2 * window : 2 * window + 2] - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_half_a_minute_is_88_vectors() -> None:
    config = WindowQFormerConfig(trunk=qformer_trunk(16, 1, 2, 32, 8))
    assert config.window == round(1500 * 0.333 / 30) == 17 and config.vectors(1500) == 88
    with torch.no_grad():
        assert config.build()(torch.zeros(1, 1500, 8)).shape == (1, 88, 16)
        assert config.build()(torch.zeros(1, 3, 8)).shape == (1, 1, 16)
