"""What recipes learn from in miniature: the package's own recordings as a folder of speech, a tiny chat model."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.audio.files import length_of, read_audio
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import sound
from vivavoce.data.manifest import Record, read_manifest, write_manifest
from vivavoce.data.tokens import add_stream
from vivavoce.hub.tokens import byte_letters, tokenizer_json
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.nn.kmeans import FitConfig, fit


def recordings(
    folder: Path, lines: Sequence[tuple[str, str]] = LINES, *, splits: Sequence[str] = ("train",), copies: int = 1
) -> Path:
    """Copies recordings into ``folder``, the splits taking turns, and writes their manifest; gives the folder.

    ``lines`` are names of files and what is said in them; each is listed ``copies`` times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = []
    for number, (name, text) in enumerate(lines):
        shutil.copy(RECORDINGS / name, folder / name)
        records += [
            Record(
                id=f"{name} {copy}",
                path=name,
                split=splits[number % len(splits)],
                speaker="vivavoce:synthetic",
                seconds=length_of(folder / name)[0],
                sample_rate=24000,
                licence="synthetic speech, free of rights",
                source="vivavoce",
                text=text,
            )
            for copy in range(copies)
        ]
    write_manifest(folder, records)
    return folder


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""What most chat models read."""


def chat_model(
    folder: Path, *, dim: int = 64, layers: int = 2, window: int = 512, template: str = TEMPLATE, spread: float = 0.02
) -> Path:
    """A Llama with random weights that reads bytes, in the form in which chat models are published.

    ``spread`` is that of its embeddings; where these are not learnt, small ones leave it undecided whatever it hears.
    """
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    special = ["<|im_start|>", "<|im_end|>"]
    tokens = [*byte_letters(), *special]
    described = tokenizer_json("gpt2", tokens, [], special, [])
    assert described is not None
    (folder / "tokenizer.json").write_text(described, encoding="utf-8")
    config = {
        "model_type": "llama", "hidden_size": dim, "num_hidden_layers": layers, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": 2 * dim, "max_position_embeddings": window,
        "rope_theta": 10_000.0, "rms_norm_eps": 1e-5, "vocab_size": len(tokens), "tie_word_embeddings": True,
        "eos_token_id": len(tokens) - 1,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"eos_token": special[1], "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    shapes = {
        "input_layernorm": (dim,), "post_attention_layernorm": (dim,), "self_attn.q_proj": (dim, dim),
        "self_attn.k_proj": (dim // 2, dim), "self_attn.v_proj": (dim // 2, dim), "self_attn.o_proj": (dim, dim),
        "mlp.gate_proj": (2 * dim, dim), "mlp.up_proj": (2 * dim, dim), "mlp.down_proj": (dim, 2 * dim),
    }  # fmt: skip
    state = {"model.embed_tokens.weight": torch.randn(len(tokens), dim) * spread, "model.norm.weight": torch.ones(dim)}
    for layer in range(layers):
        for name, shape in shapes.items():
            made = torch.ones(shape) if len(shape) == 1 else torch.randn(shape) * 0.05
            state[f"model.layers.{layer}.{name}.weight"] = made
    save_file(state, folder / "model.safetensors")
    return folder


def unit_corpus(
    folder: Path, lines: Sequence[tuple[str, str]], *, size: int = 48, splits: Sequence[str] = ("train",)
) -> tuple[Path, Path]:
    """A token corpus of recordings with their units: k-means of spectra, which tell little. Gives both folders."""
    speech = recordings(folder / "speech", lines, splits=splits)
    records = read_manifest(speech / "manifest.jsonl")
    front = SpectrumConfig(stride=4)
    spectrum = front.build()
    waves = [read_audio(record.file, front.sample_rate)[0] for record in records]
    with torch.no_grad():
        frames = torch.cat([spectrum(wave[None, None])[0].T for wave in waves])
    book = fit(frames, size, FitConfig(starts=1, steps=20, trial_steps=10, batch=512))
    config = UnitsConfig(front=front, quantizer=book.config, made_by="k-means of a few spectra")
    units = config.build().eval()
    units.quantizer.load_state_dict(book.state_dict())
    save_part(folder / "units", "units", config, units)
    known: Units = load_part(folder / "units", "units")

    def encode(record: Record) -> torch.Tensor:
        return known.encode(sound(read_audio(record.file, front.sample_rate)[0], front.sample_rate)).data[0]

    add_stream(folder / "corpus", records, known.tokens, encode)
    return folder / "corpus", folder / "units"
