"""Words and sounds in one space: two encoders that learn which of a batch belong together.

As CLAP (arXiv:2211.06687), small enough to be trained on two cores: a text is read byte by byte, a sound as log-mel
frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.core.errors import TextError
from vivavoce.nn.transformer import TransformerConfig

_LONGEST = 400
"""Bytes of a text that are read."""
_WARMEST = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSoundConfig:
    """Mel bins, the width of the space, a trunk over bytes that looks both ways, channels of the sound's net."""

    bins: int = 64
    dim: int = 128
    text: TransformerConfig = TransformerConfig(
        dim=128, layers=2, heads=4, kv_heads=4, hidden=256, window=_LONGEST + 1, causal=False
    )
    channels: tuple[int, ...] = (32, 64, 128, 128)

    def build(self) -> "TextSound":
        """The module with fresh weights."""
        return TextSound(self)


@final
class TextSound(nn.Module):
    """See the file's text; what both encoders give has length 1."""

    def __init__(self, config: TextSoundConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.bytes = nn.Embedding(257, config.text.dim)
        self.trunk = config.text.build()
        self.text_out = nn.Linear(config.text.dim, config.dim)
        nets, wide = [], 1
        for channels in config.channels:
            nets += [nn.Conv2d(wide, channels, 3, 2, padding=1), nn.GroupNorm(8, channels), nn.SiLU()]
            wide = channels
        self.sound = nn.Sequential(*nets)
        self.sound_out = nn.Sequential(nn.Linear(3 * wide, config.dim), nn.SiLU(), nn.Linear(config.dim, config.dim))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def texts(self, texts: Sequence[str]) -> Float[Tensor, "B D"]:
        """A vector per text, the empty one included; TextError for one that is too long."""
        rows = [text.lower().encode() for text in texts]
        if any(len(row) > _LONGEST for row in rows):
            raise TextError(
                f"a sound is described in {_LONGEST} bytes at most, got {max(map(len, rows))}; say it shorter"
            )
        device = self.log_scale.device
        begun = [torch.tensor([256, *row], device=device) for row in rows]
        data = nn.utils.rnn.pad_sequence(begun, batch_first=True)
        lengths = torch.tensor([len(row) for row in begun], device=device)
        valid = torch.arange(data.shape[1], device=device) < lengths[:, None]
        read = self.trunk(self.bytes(data), valid) * valid[..., None]
        return F.normalize(self.text_out(read.sum(1) / valid.sum(1, keepdim=True)), dim=1)

    def sounds(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B D"]:
        """A vector per sound, from frames near zero mean and unit deviation."""
        seen = self.sound(mel.transpose(1, 2)[:, None]).flatten(2)
        return F.normalize(self.sound_out(torch.cat((seen.mean(2), seen.amax(2), seen.std(2)), 1)), dim=1)

    def scores(self, texts: Float[Tensor, "A D"], sounds: Float[Tensor, "B D"]) -> Float[Tensor, "A B"]:
        """How well each text fits each sound."""
        return self.log_scale.exp().clamp(max=_WARMEST) * texts @ sounds.T
