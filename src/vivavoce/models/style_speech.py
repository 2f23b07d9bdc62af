"""What StyleTTS is made of beside aligner and style: phones to vectors, vectors to prosody, and both to frames.

arXiv:2205.15439 §3.1. The style sets scale and shift of every norm; it is never joined to the vectors in the decoder.
Clocks: phones; half the mel's rate (text held over frames); the mel's rate (pitch, loudness, frames).
"""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.streams import Tokens
from vivavoce.models.style_encoder import StyleEncoderConfig
from vivavoce.nn.adain import AdainBlock, wider
from vivavoce.nn.norm import Norm
from vivavoce.nn.recurrent import PaddedBilstm

_EPS = 1e-5
_SLOPE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleSpeechConfig:
    """What both have: phones and frames, the style, and the widths of text and prosody, of decoder and aligner."""

    phones: Tokens
    mel: LogMelConfig = LogMelConfig(bins=80, hop=300, window=1200, n_fft=2048)
    dim: int = 512
    decoder: int = 1024
    style: StyleEncoderConfig = StyleEncoderConfig()
    aligner: int = 256
    longest: int = 50
    """Frames of the text's clock that a phone lasts at most."""


@final
class PhoneEncoder(nn.Module):
    """Three convolutions over phones and a memory both ways."""

    def __init__(self, phones: int, dim: int, drop: float = 0.2) -> None:
        """An embedding per phone."""
        super().__init__()
        self.embed, self.drop = nn.Embedding(phones, dim), drop
        self.convs = nn.ModuleList(nn.Conv1d(dim, dim, 5, padding=2) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(3))
        self.memory = PaddedBilstm(dim, dim)

    def forward(self, phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B P D"]:
        """A vector per phone; padding is 0."""
        mask = (torch.arange(phones.shape[1], device=phones.device) < lengths[:, None])[..., None]
        x = self.embed(phones) * mask
        for conv, norm in zip(self.convs, self.norms, strict=True):
            y = leaky_relu(norm(conv(x.transpose(1, 2)).transpose(1, 2)), _SLOPE)
            x = dropout(y, self.drop, self.training) * mask
        return self.memory(x, lengths)


@final
class ProsodyOfStyle(nn.Module):
    """Durations of phones, and pitch and loudness of frames, in a style."""

    def __init__(self, inputs: int, dim: int, style: int, longest: int, layers: int = 3) -> None:
        """``longest`` frames (of the slow clock) at most for a phone."""
        super().__init__()
        widths = [inputs, *(dim for _ in range(layers - 1))]
        self.memories = nn.ModuleList(PaddedBilstm(width + style, dim) for width in widths)
        self.norms = nn.ModuleList(Norm(dim, _EPS, centred=True, condition=style) for _ in range(layers))
        self.lengths_memory = PaddedBilstm(dim + style, dim)
        self.present = nn.Linear(dim, longest)
        self.shared = PaddedBilstm(dim + style, dim)
        self.pitch, self.loudness = _Curve(dim, style), _Curve(dim, style)

    def encode(
        self, phones: Float[Tensor, "B P D"], lengths: Int[Tensor, " B"], style: Float[Tensor, "B C"]
    ) -> Float[Tensor, "B P E"]:
        """Phones as the rest wants them, the style beside each."""
        beside = style[:, None].expand(-1, phones.shape[1], -1)
        mask = (torch.arange(phones.shape[1], device=phones.device) < lengths[:, None])[..., None]
        x = phones
        for memory, norm in zip(self.memories, self.norms, strict=True):
            x = norm(memory(torch.cat((x, beside), dim=2), lengths), style)
            x = dropout(x, 0.2, self.training) * mask
        return torch.cat((x, beside * mask), dim=2)

    def presence(self, encoded: Float[Tensor, "B P E"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B P K"]:
        """Logits of every phone still being there in its k-th frame; see `nn.soft_durations`."""
        return self.present(self.lengths_memory(encoded, lengths))

    def curves(
        self,
        encoded: Float[Tensor, "B P E"],
        path: Float[Tensor, "B P S"],
        style: Float[Tensor, "B C"],
        frames: Int[Tensor, " B"] | None = None,
    ) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
        """Pitch (hundreds of hertz, 0 where voiceless) and loudness of every frame of the fast clock.

        ``frames`` count those of the slow clock, where rows are padded.
        """
        held = (encoded.transpose(1, 2) @ path).transpose(1, 2)
        full = torch.full((len(held),), held.shape[1], device=held.device)
        x = self.shared(held, full if frames is None else frames).transpose(1, 2)
        mask = mask_of(frames, held.shape[1])
        return self.pitch(x, style, mask), self.loudness(x, style, mask)


def mask_of(frames: Int[Tensor, " B"] | None, length: int) -> Float[Tensor, "B 1 S"] | None:
    """1 where a row is, 0 where it is padded; None where none is."""
    if frames is None:
        return None
    return (torch.arange(length, device=frames.device) < frames[:, None])[:, None].float()


def durations_of(presence: Float[Tensor, "B P K"], lengths: Int[Tensor, " B"]) -> Int[Tensor, "B P"]:
    """Whole frames of every phone, at least one; 0 for padding."""
    valid = torch.arange(presence.shape[1], device=presence.device) < lengths[:, None]
    return presence.sigmoid().sum(2).round().clamp(min=1).long() * valid


@final
class _Curve(nn.Module):
    def __init__(self, dim: int, style: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            (
                AdainBlock(dim, dim, style),
                AdainBlock(dim, dim // 2, style, times=2),
                AdainBlock(dim // 2, dim // 2, style),
            )
        )
        self.out = nn.Conv1d(dim // 2, 1, 1)

    def forward(
        self, x: Float[Tensor, "B D S"], style: Float[Tensor, "B C"], mask: Float[Tensor, "B 1 S"] | None
    ) -> Float[Tensor, "B T"]:
        for block in self.blocks:
            assert isinstance(block, AdainBlock)
            x = block(x, style, mask)
            mask = wider(mask, block.times)
        made = self.out(x)
        return (made if mask is None else made * mask)[:, 0]


@final
class StyleDecoder(nn.Module):
    """Text held over frames, pitch and loudness to vectors of the fast clock, by adaptive norms alone."""

    def __init__(self, inputs: int, dim: int, style: int, outputs: int, residue: int = 64) -> None:
        """``residue`` is what is kept of the text beside every block."""
        super().__init__()
        self.pitch, self.loudness = nn.Conv1d(1, 1, 3, 2, padding=1), nn.Conv1d(1, 1, 3, 2, padding=1)
        self.residue = nn.Conv1d(inputs, residue, 1)
        self.enter = AdainBlock(inputs + 2, dim, style)
        self.blocks = nn.ModuleList(
            (
                *(AdainBlock(dim + 2 + residue, dim, style) for _ in range(3)),
                AdainBlock(dim + 2 + residue, outputs, style, times=2),
            )
        )

    def forward(
        self,
        text: Float[Tensor, "B D S"],
        pitch: Float[Tensor, "B T"],
        loudness: Float[Tensor, "B T"],
        style: Float[Tensor, "B C"],
        frames: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B E T"]:
        """Two frames for every one of the text's; ``frames`` count the text's, where rows are padded."""
        mask = mask_of(frames, text.shape[2])
        curves = torch.cat((self.pitch(pitch[:, None]), self.loudness(loudness[:, None])), dim=1)
        x = self.enter(torch.cat((text, curves), dim=1), style, mask)
        beside = torch.cat((self.residue(text), curves), dim=1)
        for block in self.blocks:
            x = block(torch.cat((x, beside), dim=1), style, mask)
        return x
