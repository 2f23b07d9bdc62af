"""Whisper: an encoder of half a minute of sound and a decoder that writes what was said (arXiv:2212.04356).

The encoder is `models.encoder` with features of any layer, which bridges to language models and units take. Writing
here is greedy; long recordings, timestamps and fallbacks are `hub.whisper`'s, which runs CTranslate2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.streams import Stream, Wave
from vivavoce.models.encoder import Encoder, EncoderConfig
from vivavoce.models.whisper_front import WhisperFrontConfig
from vivavoce.nn.attention import Remembered
from vivavoce.nn.positions import TableConfig
from vivavoce.nn.transformer import Transformer, TransformerConfig, TransformerState


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperConfig:
    """A text with its prompt has at most as many ids as the decoder's window."""

    encoder: EncoderConfig
    decoder: TransformerConfig
    vocabulary: int = 51865

    def build(self) -> "WhisperModel":
        """The model with fresh weights."""
        return WhisperModel(self)


def sized(
    *,
    dim: int = 512,
    layers: tuple[int, int] = (6, 6),
    heads: tuple[int, int] = (8, 8),
    hidden: tuple[int, int] = (2048, 2048),
    bins: int = 80,
    seconds: int = 30,
    places: int = 448,
    vocabulary: int = 51865,
) -> WhisperConfig:
    """A Whisper of this size (base by default); pairs are of encoder and decoder."""

    def trunk(side: int, window: int, memory: int) -> TransformerConfig:
        return TransformerConfig(
            dim=dim, layers=layers[side], heads=heads[side], kv_heads=heads[side], hidden=hidden[side], window=window,
            causal=side == 1, norm="layer", gated=False, bias=True, rotary=False, memory=memory,
        )  # fmt: skip

    front = WhisperFrontConfig(bins=bins, dim=dim, seconds=seconds)
    encoder = EncoderConfig(
        front=front,
        trunk=trunk(0, 50 * seconds, 0),
        positions=TableConfig(length=50 * seconds),
        project=False,
        fill="random",
    )
    return WhisperConfig(encoder=encoder, decoder=trunk(1, places, dim), vocabulary=vocabulary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What a text begins with, what ends it, and which ids never come, or not as its first."""

    prompt: tuple[int, ...]
    end: int
    never: tuple[int, ...] = ()
    not_first: tuple[int, ...] = ()


@final
class WhisperModel(nn.Module):
    """The part ``whisper``."""

    def __init__(self, config: WhisperConfig) -> None:
        """Fresh weights; the embeddings of ids are also those that scores are made by."""
        super().__init__()
        self.config = config
        dim = config.decoder.dim
        self.encoder: Encoder = config.encoder.build()
        self.embed = nn.Parameter(0.02 * torch.randn(config.vocabulary, dim))
        self.places = nn.Parameter(0.01 * torch.randn(config.decoder.window, dim))
        self.decoder: Transformer = config.decoder.build()

    def forward(self, wave: Float[Tensor, "B N"], ids: Int[Tensor, "B S"]) -> Float[Tensor, "B S V"]:
        """Scores of the id after each."""
        memory = self.decoder.remember(self.encoder(wave).last)
        return self.decoder(self._placed(ids, 0), memory=memory) @ self.embed.T

    def step(
        self, ids: Int[Tensor, "B S"], first: int, state: TransformerState, memory: Remembered
    ) -> Float[Tensor, "B V"]:
        """Reads the next ids, of which ``first`` were read before; scores of the one after them."""
        return self.decoder.step(self._placed(ids, first), state, memory=memory)[:, -1] @ self.embed.T

    @torch.inference_mode()
    def write(self, sound: Stream[Wave], writing: Writing, most: int = 224) -> list[list[int]]:
        """The likeliest id after id, for every row until it has ended or has ``most``.

        Raises SpecError for sound of another rate or longer than the encoder hears.
        """
        sound.expect(self.encoder.wave)
        if len(writing.prompt) + most > self.config.decoder.window:
            raise SpecError(f"got {len(writing.prompt)} ids before {most}, wanted at most {self.config.decoder.window}")
        rows = len(sound.data)
        pairs = zip(sound.data[:, 0], sound.lengths.tolist(), strict=True)
        heard = [self.encoder(row[None, :length]).last for row, length in pairs]
        memory = self.decoder.remember(torch.cat(heard))
        state = self.decoder.init_state(rows, room=len(writing.prompt) + most)
        scores = self.step(torch.tensor([writing.prompt] * rows), 0, state, memory)
        written: list[list[int]] = [[] for _ in range(rows)]
        ended = torch.zeros(rows, dtype=torch.bool)
        for place in range(most):
            scores[:, list(writing.never)] = -torch.inf
            if place == 0:
                scores[:, list(writing.not_first)] = -torch.inf
            ids = scores.argmax(-1)
            ended |= ids == writing.end
            if ended.all():
                break
            for row in (~ended).nonzero()[:, 0].tolist():
                written[row].append(int(ids[row]))
            if place + 1 < most:
                scores = self.step(ids[:, None], len(writing.prompt) + place, state, memory)
        return written

    def _placed(self, ids: Int[Tensor, "B S"], first: int) -> Float[Tensor, "B S D"]:
        return self.embed[ids] + self.places[first : first + ids.shape[1]]


def prompt_of(ids: dict[str, int], language: str = "en", task: str = "transcribe") -> tuple[int, ...]:
    """The ids that ask for a text without timestamps; ``ids`` are those of the special tokens by name.

    SpecError for a language that the model does not know.
    """
    wanted: Sequence[str] = ("startoftranscript", language, task, "notimestamps")
    if f"<|{language}|>" not in ids and "<|en|>" not in ids:
        wanted = ("startoftranscript", "notimestamps")  # a model of one language asks for none
    names = [f"<|{name}|>" for name in wanted]
    if missing := [name for name in names if name not in ids]:
        raise SpecError(f"this Whisper has no {missing[0]}; choose one of its languages, such as en")
    return tuple(ids[name] for name in names)
