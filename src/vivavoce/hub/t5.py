"""A published T5's encoder as what reads descriptions (arXiv:1910.10683; Flan, arXiv:2210.11416); it is not trained.

The folder has ``config.json``, ``tokenizer.json`` and ``model.safetensors``. A part that was trained with one says
where it lies and its digest; its weights are not stored again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.core.errors import MissingExtra, PartError
from vivavoce.models.text_encoder import Pieces
from vivavoce.nn.attention import RelativeBias, RelativeConfig

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class T5TextConfig:
    """Where a T5 lies, which one it is, the width of its vectors, and how many pieces of a text it reads."""

    folder: str
    digest: str
    dim: int
    longest: int = 128

    @staticmethod
    def of(folder: Path) -> "T5TextConfig":
        """The T5 of a folder; PartError when there is none."""
        try:
            about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            with (folder / _WEIGHTS).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (OSError, ValueError) as error:
            raise PartError(f"{folder} holds no T5 ({error}); wanted config.json and {_WEIGHTS}") from error
        if about.get("model_type") != "t5":
            raise PartError(f"{folder} holds a model of the kind {about.get('model_type')!r}, wanted 't5'")
        return T5TextConfig(folder=str(folder.resolve()), digest=digest, dim=int(about["d_model"]))

    def build(self) -> "T5Text":
        """The encoder with its weights; PartError when another one lies there, or none that fits."""
        folder = Path(self.folder)
        if T5TextConfig.of(folder).digest != self.digest:
            raise PartError(f"the T5 in {folder} is not the one that the model was trained with; put that one there")
        return T5Text(self)


@final
class T5Text(nn.Module):
    """Texts to vectors; it has no weights of its own that could be trained or stored."""

    def __init__(self, config: T5TextConfig) -> None:
        """Reads the folder."""
        super().__init__()
        self.config = config
        folder = Path(config.folder)
        try:
            import tokenizers
        except ImportError as error:
            raise MissingExtra("a T5 needs the extra 'mind': pip install 'vivavoce[mind]'") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
            about, state = (
                json.loads((folder / "config.json").read_text(encoding="utf-8")),
                load_file(folder / _WEIGHTS),
            )
        except Exception as error:  # the library of tokenizers raises nothing more exact
            raise PartError(f"the T5 in {folder} cannot be read ({error}); fetch it again") from error
        forward = about.get("feed_forward_proj", "relu")
        if forward not in ("relu", "gated-gelu"):
            raise PartError(f"the T5 in {folder} has the feed-forward nets {forward!r}; known are relu and gated-gelu")
        self._gated = forward == "gated-gelu"
        self._layers, self._heads = int(about["num_layers"]), int(about["num_heads"])
        self._eps = float(about.get("layer_norm_epsilon", 1e-6))
        relative = RelativeConfig(
            buckets=int(about.get("relative_attention_num_buckets", 32)),
            farthest=int(about.get("relative_attention_max_distance", 128)),
        )
        self._buckets = RelativeBias(relative, self._heads).bucket
        embed = state.get("shared.weight", state.get("encoder.embed_tokens.weight"))
        if embed is None:
            raise PartError(f"the T5 in {folder} has no embeddings; fetch it again")
        kept = {"embed": embed, **{k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}}
        self._weights = {name: value.float() for name, value in kept.items()}
        try:
            with torch.no_grad():
                self(Pieces(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, dtype=torch.long)))
        except (KeyError, RuntimeError) as error:
            raise PartError(f"the weights of the T5 in {folder} do not fit its config.json ({error})") from error

    def pieces(self, texts: Sequence[str]) -> Pieces:
        """The ids of texts, each with T5's own end."""
        rows = [self._tokenizer.encode(text.strip()).ids[: self.config.longest] for text in texts]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        ids = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.long)
        for place, row in zip(ids, rows, strict=True):
            place[: len(row)] = torch.tensor(row, dtype=torch.long)
        return Pieces(ids, lengths)

    @torch.no_grad()
    def forward(self, pieces: Pieces) -> Float[Tensor, "B W D"]:
        """A vector per piece; those behind a text's end mean nothing."""
        weights, places = self._weights, torch.arange(pieces.ids.shape[1], device=pieces.ids.device)
        x = F.embedding(pieces.ids, weights["embed"])
        table = weights["block.0.layer.0.SelfAttention.relative_attention_bias.weight"]
        bias = table[self._buckets(places[None] - places[:, None])].permute(2, 0, 1)
        bias = bias.masked_fill((places >= pieces.lengths[:, None])[:, None, None], -torch.inf)
        for layer in range(self._layers):
            within, after = f"block.{layer}.layer.0.", f"block.{layer}.layer.1."
            h = self._norm(x, within)
            q, k, v = (
                F.linear(h, weights[f"{within}SelfAttention.{name}.weight"]).unflatten(-1, (self._heads, -1))
                for name in "qkv"
            )
            # T5 does not scale its scores
            seen = F.scaled_dot_product_attention(
                q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), attn_mask=bias, scale=1.0
            )
            x = x + F.linear(seen.transpose(1, 2).flatten(2), weights[f"{within}SelfAttention.o.weight"])
            h, net = self._norm(x, after), f"{after}DenseReluDense."
            if self._gated:
                gate = F.gelu(F.linear(h, weights[f"{net}wi_0.weight"]), approximate="tanh")
                h = gate * F.linear(h, weights[f"{net}wi_1.weight"])
            else:
                h = F.relu(F.linear(h, weights[f"{net}wi.weight"]))
            x = x + F.linear(h, weights[f"{net}wo.weight"])
        return self._norm(x, "final_")

    def _norm(self, x: Float[Tensor, "B W D"], name: str) -> Float[Tensor, "B W D"]:
        return F.rms_norm(x, x.shape[-1:], self._weights[f"{name}layer_norm.weight"], self._eps)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "T5Text":
        self._weights = {name: fn(value) for name, value in self._weights.items()}
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "T5Text":
        """Itself: averaged copies of a model share it."""
        return self
