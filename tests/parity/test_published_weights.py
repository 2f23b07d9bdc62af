"""Our transformer beside other people's with the same random weights, through adapters; what does not fit is told."""

import pytest
import torch

from vivavoce.core.errors import PartError
from vivavoce.hub import llama
from vivavoce.hub.adapter import Rule, adapt
from vivavoce.models.lm import StreamLM
from vivavoce.nn.transformer import TransformerConfig

transformers = pytest.importorskip("transformers")


@pytest.mark.parametrize("tied", [True, False])
def test_llama(tied: bool) -> None:
    torch.manual_seed(0)
    published = transformers.LlamaConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-6, tie_word_embeddings=tied,
        initializer_range=0.3, rope_theta=5000.0,
    )  # fmt: skip
    theirs = transformers.LlamaForCausalLM(published).eval()
    config = llama.config_of(published.to_dict())
    state = dict(theirs.state_dict())
    ours = adapt(state, llama.rules(tied), config.build())
    assert isinstance(ours, StreamLM)
    ids = torch.randint(40, (2, 30))
    with torch.no_grad():
        wanted = theirs(ids).logits
        assert (ours(ids[:, None])[0] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        cache = ours.init_state(2)
        for piece in ids.split(7, dim=1):
            hidden = ours.read(piece[:, None], cache)
        stepped = ours.scores(hidden, 0, ids[:, :0])
        assert (stepped - wanted[:, -1]).abs().max() <= 1e-5 * wanted.abs().max()


def test_qwen2_whose_queries_keys_and_values_have_biases() -> None:
    torch.manual_seed(0)
    published = transformers.Qwen2Config(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.Qwen2ForCausalLM(published).eval()
    for name, weight in theirs.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight)
    ours = llama.with_weights(llama.config_of(published.to_dict()), theirs.state_dict())
    ids = torch.randint(40, (2, 30))
    with torch.no_grad():
        wanted = theirs(ids).logits
        assert (ours(ids[:, None])[0] - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_a_stack_of_hubert() -> None:
    """Norms after the sublayers, biases, GELU, no rotary positions; queries, keys and values joined."""
    from transformers.models.hubert.modeling_hubert import HubertEncoder

    torch.manual_seed(0)
    published = transformers.HubertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, layerdrop=0.0,
    )  # fmt: skip
    theirs = HubertEncoder(published).eval()
    for name, weight in theirs.named_parameters():
        silent = name.startswith("pos_conv_embed") and not name.endswith("original1")  # adds nothing then
        torch.nn.init.normal_(weight, std=0.0 if silent else 0.3)
    config = TransformerConfig(
        dim=32, layers=2, heads=4, kv_heads=4, hidden=48, window=64, causal=False, norm="layer", post=True, gated=False,
        bias=True, rotary=False,
    )  # fmt: skip
    layer, kinds = r"layers\.(\d+)\.", ("weight", "bias")
    rules = [Rule((r"pos_conv_embed\..*",))]
    for kind in kinds:
        qkv = tuple(rf"{layer}attention\.{name}_proj\.{kind}" for name in "qkv")
        rules += [
            Rule(qkv, (rf"layers.\1.qkv.{kind}",)),
            Rule((rf"{layer}attention\.out_proj\.{kind}",), (rf"layers.\1.out.{kind}",)),
            Rule((rf"{layer}layer_norm\.{kind}",), (rf"layers.\1.before.{kind}",)),
            Rule((rf"{layer}feed_forward\.intermediate_dense\.{kind}",), (rf"layers.\1.up.{kind}",)),
            Rule((rf"{layer}feed_forward\.output_dense\.{kind}",), (rf"layers.\1.down.{kind}",)),
            Rule((rf"{layer}final_layer_norm\.{kind}",), (rf"layers.\1.between.{kind}",)),
            Rule((rf"layer_norm\.{kind}",), (rf"norm.{kind}",)),
        ]
    ours = adapt(theirs.state_dict(), rules, config.build())
    x = torch.randn(2, 12, 32)
    with torch.no_grad():
        wanted = theirs(x).last_hidden_state
        assert (ours(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_tensors_are_split_joined_and_permuted_and_nothing_is_left_over() -> None:
    module = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 2, bias=False), "b": torch.nn.Linear(3, 2, bias=False)})
    whole = torch.arange(12.0).view(3, 4)
    rules = (Rule((r"both",), ("a.weight", "b.weight"), permute=(1, 0)),)
    made = adapt({"both": whole}, rules, module)
    assert torch.equal(made.a.weight, whole.T[:2]) and torch.equal(made.b.weight, whole.T[2:])
    halves = {"left.0": whole[:, :2], "right.0": whole[:, 2:]}
    joined = adapt(
        halves, (Rule((r"left\.(\d)", r"right\.(\d)"), ("weight",), axis=1),), torch.nn.Linear(4, 3, bias=False)
    )
    assert torch.equal(joined.weight, whole)
    for state, wrong, error in (
        ({"both": whole, "more": whole}, rules, "nothing is known of 'more'"),
        ({"both": whole}, (Rule((r"both",), ("a.weight",), permute=(1, 0)),), "gives no 'b.weight'"),
        ({"both": whole}, (*rules, Rule((r"none",))), None),
        ({"both": whole.T}, (Rule((r"both",), ("a.weight", "b.weight"), permute=(1, 0)),), "3 equal|2 equal"),
        ({"both": whole[:2]}, (Rule((r"both",), ("a.weight", "b.weight"), permute=(1, 0)),), "wanted"),
        ({"both": whole}, (Rule((r"both", "other"), ("a.weight",)),), "not 'other'"),
        ({"both": whole}, (Rule((r"both",), ("a.weight", "b.weight", "c"), permute=(1, 0)),), "3 equal parts"),
    ):
        if error is not None:
            with pytest.raises(PartError, match=error):
                adapt(state, wrong, module)
    with pytest.raises(PartError, match="scaled rotary"):
        llama.config_of({"rope_scaling": {"rope_type": "yarn"}})
