"""GGUF files, quantised by its own package: what our models make of them beside transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vivavoce.core.errors import PartError
from vivavoce.hub.gguf import read_gguf
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.tokens import byte_letters

gguf = pytest.importorskip("gguf")
transformers = pytest.importorskip("transformers")
WIDE, HIDDEN, HEADS, KEYS, LAYERS = 64, 96, 4, 2, 2
LAYER = {
    "attn_norm.weight": ("input_layernorm.weight", (WIDE,)),
    "ffn_norm.weight": ("post_attention_layernorm.weight", (WIDE,)),
    "attn_q.weight": ("self_attn.q_proj.weight", (WIDE, WIDE)),
    "attn_k.weight": ("self_attn.k_proj.weight", (WIDE // 2, WIDE)),
    "attn_v.weight": ("self_attn.v_proj.weight", (WIDE // 2, WIDE)),
    "attn_output.weight": ("self_attn.o_proj.weight", (WIDE, WIDE)),
    "ffn_gate.weight": ("mlp.gate_proj.weight", (HIDDEN, WIDE)),
    "ffn_up.weight": ("mlp.up_proj.weight", (HIDDEN, WIDE)),
    "ffn_down.weight": ("mlp.down_proj.weight", (WIDE, HIDDEN)),
}
BIASES = {f"attn_{part}.bias": (f"self_attn.{part}_proj.bias", (size,)) for part, size in
          (("q", WIDE), ("k", WIDE // 2), ("v", WIDE // 2))}  # fmt: skip


def written(path: Path, architecture: str, kind: str, merge: str = "a b") -> dict[str, torch.Tensor]:
    """Writes a model with random weights, matrices in a quantised type, as llama.cpp does, whose rotary pairs are
    neighbours in a Llama; gives the weights that are left of it under transformers' names."""
    draw, tokens = np.random.default_rng(1), [*byte_letters(), "ab", "<|im_start|>", "<|im_end|>"]
    known: dict[str, torch.Tensor] = {}
    file, type = gguf.GGUFWriter(path, architecture), gguf.GGMLQuantizationType[kind]
    file.add_block_count(LAYERS)
    file.add_context_length(64)
    file.add_embedding_length(WIDE)
    file.add_feed_forward_length(HIDDEN)
    file.add_head_count(HEADS)
    file.add_head_count_kv(KEYS)
    file.add_layer_norm_rms_eps(1e-5)
    file.add_rope_freq_base(5000.0)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    file.add_token_types([1] * (len(tokens) - 2) + [3, 3])
    file.add_token_merges([merge])
    file.add_eos_token_id(len(tokens) - 1)
    file.add_chat_template("{{ messages[0].content }}")

    def add(name: str, theirs: str, shape: tuple[int, ...]) -> None:
        weight = (draw.standard_normal(shape) * 0.2 + (len(shape) == 1)).astype(np.float32)
        if len(shape) == 1:
            file.add_tensor(name, weight)
            known[theirs] = torch.from_numpy(weight)
            return
        known[theirs] = torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(weight, type), type).copy())
        heads = {"q_proj": HEADS, "k_proj": KEYS}.get(theirs.split(".")[-2], 0)
        if heads and architecture == "llama":
            weight = weight.reshape(heads, 2, shape[0] // heads // 2, shape[1]).swapaxes(1, 2).reshape(shape)
        file.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(weight), type), raw_dtype=type)

    add("token_embd.weight", "model.embed_tokens.weight", (len(tokens), WIDE))
    add("output.weight", "lm_head.weight", (len(tokens), WIDE))
    add("output_norm.weight", "model.norm.weight", (WIDE,))
    for layer in range(LAYERS):
        for name, (theirs, shape) in {**LAYER, **(BIASES if architecture == "qwen2" else {})}.items():
            add(f"blk.{layer}.{name}", f"model.layers.{layer}.{theirs}", shape)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return known


@pytest.mark.parametrize(
    ("architecture", "kind"), [("llama", "F16"), ("llama", "Q8_0"), ("llama", "Q4_0"), ("qwen2", "Q8_0")]
)
def test_quantised_weights_give_what_transformers_makes_of_them(architecture: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.gguf"
    known = written(path, architecture, kind)
    published = read_gguf(path)
    assert {name: published.tensor(name).shape for name in published.names} == {n: w.shape for n, w in known.items()}
    assert all(torch.equal(published.tensor(name), weight) for name, weight in known.items())
    classes = {"llama": ("LlamaConfig", "LlamaForCausalLM"), "qwen2": ("Qwen2Config", "Qwen2ForCausalLM")}
    config, causal = (getattr(transformers, name) for name in classes[architecture])
    theirs: Any = causal(
        config(
            vocab_size=259, hidden_size=WIDE, intermediate_size=HIDDEN, num_hidden_layers=LAYERS,
            num_attention_heads=HEADS, num_key_value_heads=KEYS, max_position_embeddings=64, rms_norm_eps=1e-5,
            rope_theta=5000.0, tie_word_embeddings=False,
        )
    ).eval()  # fmt: skip
    theirs.load_state_dict(known)
    ours = load_text_model(path).lm
    ids = torch.randint(259, (2, 30), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = theirs(ids).logits
        assert (ours(ids[:, None])[0] - wanted).abs().max() <= 1e-5 * wanted.abs().max()


def test_tokens_that_do_not_fit_together_are_said(tmp_path: Path) -> None:
    written(tmp_path / "odd.gguf", "llama", "F16", merge="x y")
    with pytest.raises(PartError, match=r"odd.gguf has tokens that do not fit together .*xy.*; fetch it again"):
        read_gguf(tmp_path / "odd.gguf")
