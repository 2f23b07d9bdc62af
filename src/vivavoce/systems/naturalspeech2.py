"""NaturalSpeech 2: speech by diffusion in the vectors of a codec, in anybody's manner (Shen 2023, arXiv:2304.09116).

A net says what the codec's vectors were before noise came to them, from phones that are held as long as predicted, a
predicted melody, and a few tokens that are all it gets of a prompt. Departs: transformers with gated feed-forward nets
in place of convolutional ones; melody goes on where the voice is silent; the codec is whatever is handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.core.errors import ConfigError, VoiceError
from vivavoce.core.parts import load_part
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Tokens, Wave, check_learnt
from vivavoce.generate.diffusion import RowNoise, Solver, sample
from vivavoce.models.codec import Codec
from vivavoce.models.latents import Books, books_of
from vivavoce.models.predictors import PromptedPredictorConfig, held, inside, rounded
from vivavoce.nn.diffusion import VariancePreserving
from vivavoce.nn.query_tokens import QueryTokensConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.nn.wavenet import WaveNetConfig

_LOW_HZ, _HIGH_HZ = 50.0, 1100.0
SCHEDULE = VariancePreserving()


@dataclass(frozen=True, slots=True, kw_only=True)
class Naturalspeech2Config:
    """The streams that it was trained on, ``dim`` numbers of a vector, and its nets; ``steps`` of a walk from noise.

    ``temperature``: the noise that a walk begins from is so much smaller than that of training.
    """

    phones: Tokens
    codes: Tokens
    dim: int
    text: TransformerConfig
    prompt: TransformerConfig
    durations: PromptedPredictorConfig
    pitch: PromptedPredictorConfig
    tokens: QueryTokensConfig
    denoiser: WaveNetConfig
    pitch_bins: int = 512
    steps: int = 150
    temperature: float = 1.2

    def build(self) -> "Naturalspeech2Model":
        """Fresh weights; ConfigError where the nets do not fit each other."""
        text, prompt = self.text.dim, self.prompt.dim
        wanted = (text, prompt, text, prompt, prompt, text, self.tokens.dim, self.dim)
        found = (
            self.durations.inputs, self.durations.memory, self.pitch.inputs, self.pitch.memory, self.tokens.memory,
            self.denoiser.frames, self.denoiser.memory, self.denoiser.channels,
        )  # fmt: skip
        if wanted != found or self.text.causal or self.prompt.causal:
            raise ConfigError(f"predictors, tokens and denoiser take {found} numbers and are given {wanted}")
        return Naturalspeech2Model(self)


class Prompted(NamedTuple):
    """What is known of a prompt: its frames for the predictors, a few tokens for the denoiser."""

    frames: Float[Tensor, "B M E"]
    valid: Bool[Tensor, "B M"]
    tokens: Float[Tensor, "B Q E"]


@final
class Naturalspeech2Model(nn.Module):
    """The part ``naturalspeech2``."""

    mean: Tensor
    spread: Tensor

    def __init__(self, config: Naturalspeech2Config) -> None:
        """``mean`` and ``spread`` are those of the codec's vectors in training."""
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.phones.size, config.text.dim)
        self.text = config.text.build()
        self.enter = nn.Linear(config.dim, config.prompt.dim)
        self.prompt = config.prompt.build()
        self.durations, self.pitch = config.durations.build(), config.pitch.build()
        self.tokens = config.tokens.build()
        self.heights = nn.Embedding(config.pitch_bins, config.text.dim)
        self.denoiser = config.denoiser.build()
        self.register_buffer("mean", torch.zeros(config.dim))
        self.register_buffer("spread", torch.ones(()))

    def listen(self, vectors: Float[Tensor, "B D M"], valid: Bool[Tensor, "B M"]) -> Prompted:
        """A prompt, of normalised vectors."""
        frames = self.prompt(self.enter(vectors.transpose(1, 2)), valid)
        return Prompted(frames, valid, self.tokens(frames, valid))

    def read(self, phones: Int[Tensor, "B P"], valid: Bool[Tensor, "B P"]) -> Float[Tensor, "B P D"]:
        """What phones are in their places."""
        return self.text(self.embed(phones), valid)

    def how_long(
        self, read: Float[Tensor, "B P D"], valid: Bool[Tensor, "B P"], prompt: Prompted
    ) -> Float[Tensor, "B P"]:
        """``log(1 + frames)`` of each phone."""
        return self.durations(read, valid, prompt.frames, prompt.valid)

    def how_high(
        self, spread: Float[Tensor, "B T D"], valid: Bool[Tensor, "B T"], prompt: Prompted
    ) -> Float[Tensor, "B T"]:
        """The logarithm of the pitch in Hz of each frame of phones that are held."""
        return self.pitch(spread, valid, prompt.frames, prompt.valid)

    def condition(self, spread: Float[Tensor, "B T D"], pitch_hz: Float[Tensor, "B T"]) -> Float[Tensor, "B D T"]:
        """Held phones with their melody, which is added after they are held."""
        share = (pitch_hz.clamp(_LOW_HZ, _HIGH_HZ) / _LOW_HZ).log() / torch.tensor(_HIGH_HZ / _LOW_HZ).log()
        bins = (share * (self.config.pitch_bins - 1)).round().long()
        return (spread + self.heights(bins)).transpose(1, 2)

    def clean(
        self,
        noisy: Float[Tensor, "B D T"],
        time: Float[Tensor, " B"],
        condition: Float[Tensor, "B E T"],
        tokens: Float[Tensor, "B Q C"],
        valid: Bool[Tensor, "B T"],
    ) -> Float[Tensor, "B D T"]:
        """What vectors were before noise came to them; of the prompt it is told the tokens alone."""
        return self.denoiser(noisy, time, condition, tokens, valid)

    def normal(self, vectors: Float[Tensor, "B D T"]) -> Float[Tensor, "B D T"]:
        """The codec's vectors, brought to a mean of 0 and a deviation of 1."""
        return (vectors - self.mean[:, None]) / self.spread


@final
class Naturalspeech2:
    """Speaks in the manner of a prompt, whose words need not be known."""

    takes: frozenset[Taken] = frozenset({"clip"})

    def __init__(self, model: Naturalspeech2Model, codec: Codec) -> None:
        """SpecError when the codec is not the one whose vectors (of its first books, or all) were learnt."""
        codes = model.config.codes
        check_learnt(codes, codec.tokens.first(codes.books))
        self.model, self.codec = model.eval(), codec
        self.books: Books = books_of(codec, codes.books)
        self.sample_rate: int = codec.config.sample_rate

    @staticmethod
    def load(folder: Path) -> "Naturalspeech2":
        """From the parts ``naturalspeech2`` and ``codec`` in a folder."""
        return Naturalspeech2(load_part(folder, "naturalspeech2"), load_part(folder, "codec"))

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One sentence; VoiceError without a clip."""
        if sentence.prompt is None:
            raise VoiceError("this speaker has no voice of its own and speaks like a clip; give --like CLIP")
        return self.speak(sentence.phones, sentence.prompt, seeds=[sentence.seed])

    @torch.inference_mode()
    def speak(
        self,
        phones: Stream[Tokens],
        prompt: Stream[Wave],
        *,
        seeds: Sequence[int] = (),
        steps: int = 0,
        solver: Solver = "euler",
    ) -> Stream[Wave]:
        """A row of sound for each row of phones, in the manner of that row of the prompt.

        ``steps`` 0: as many as the model's configuration says. SpecError for streams of alphabets that were not learnt.
        """
        model, config = self.model, self.model.config
        phones.expect(config.phones)
        heard = self.codec.encode(prompt, config.codes.books)
        known = model.listen(model.normal(self.books.vectors(heard.data)), inside(heard.lengths, heard.data.shape[2]))
        valid = inside(phones.lengths, phones.data.shape[2])
        read = model.read(phones.data[:, 0], valid)
        frames = rounded(model.how_long(read, valid, known).expm1(), valid)
        lengths = frames.sum(1)
        spread = held(read, frames)
        there = inside(lengths, spread.shape[1])
        condition = model.condition(spread, model.how_high(spread, there, known).exp())
        own = zip(seeds or range(len(lengths)), lengths.tolist(), strict=True)
        noise = pad_sequence([RowNoise([seed])(length, config.dim)[0] for seed, length in own], batch_first=True)

        def clean(x: Tensor, time: Tensor) -> Tensor:
            return model.clean(x, time, condition, known.tokens, there)

        start, temperature = noise.transpose(1, 2), 1 / config.temperature
        made = sample(clean, start, SCHEDULE, steps or config.steps, solver, temperature=temperature)
        return self.codec.decode_vectors(made * model.spread + model.mean[:, None], lengths)


speaker = Naturalspeech2.load
