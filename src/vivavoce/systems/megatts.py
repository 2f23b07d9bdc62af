"""Mega-TTS: content, timbre, prosody and sound, each kept where its nature puts it (arXiv:2306.03509).

What is said is phones; who says it is the mean of a recording of theirs, another one than is drawn; how is a code per
phone from the lowest mel bins, written by a language model that goes on with a prompt's; sound is a vocoder's. The mel
decoder learns against judges of mel windows. `systems.megatts2` differs by its numbers: many references that phones
look at, codes per eight frames, lengths one after the other. Departs: mel distances have no structural similarity; the
decoder is a stack of convolutions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.resample import resample
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, SpecError, VoiceError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.rng import Uniforms
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Latents, Stream, Tokens, Wave, alphabet_of, whole
from vivavoce.data.timed import timed_as
from vivavoce.generate.prosody import write_prosody
from vivavoce.generate.samplers import Sample, Sampler
from vivavoce.models.listener import MEL, Listener
from vivavoce.models.phone_durations import PhoneDurations, PhoneDurationsConfig
from vivavoce.models.prosody_codes import Coded, ProsodyCodes, ProsodyCodesConfig
from vivavoce.models.prosody_lm import ProsodyLm, ProsodyLmConfig, ProsodyPrompt
from vivavoce.models.vocoder import Vocoder
from vivavoce.nn.conv_stack import ConvStackConfig
from vivavoce.nn.multi_reference import MultiReference, MultiReferenceConfig, References
from vivavoce.nn.regulate import pooled, spread
from vivavoce.nn.renamed import takes_earlier_names
from vivavoce.nn.transformer import TransformerConfig

_SAMPLER: Final = Sample(top_k=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class MegaConfig:
    """All of it; ``content`` is as wide as the timbre encoder."""

    mel: LogMelConfig = LogMelConfig(bins=80, hop=300, window=1200, n_fft=2048)
    phones: Tokens
    content: TransformerConfig
    timbre: MultiReferenceConfig
    prosody: ProsodyCodesConfig
    decoder: ConvStackConfig
    durations: PhoneDurationsConfig
    lm: ProsodyLmConfig

    def build(self) -> "MegaModel":
        """The module with fresh weights; ConfigError for widths that do not fit each other."""
        widths = {self.content.dim, self.timbre.stack.width, self.lm.condition, self.durations.inputs}
        if len(widths) > 1 or self.content.causal or self.timbre.bins != self.mel.bins:
            raise ConfigError(f"phones, timbre, lengths and prosody's conditions have one width, got {sorted(widths)}")
        if self.lm.size != self.prosody.size or self.prosody.bins > self.mel.bins:
            raise ConfigError(
                "the language model has as many codes as the book, which sees no more bins than there are"
            )
        return MegaModel(self)


class TimedSpeech(NamedTuple):
    """Utterances: mel frames, phones, the frames of each phone (0 where there is no phone)."""

    mel: Float[Tensor, "B M T"]
    phones: Int[Tensor, "B P"]
    frames: Int[Tensor, "B P"]
    there: Bool[Tensor, "B P"]


class Drawn(NamedTuple):
    """One pass: the mel frames that were drawn, and the codes of their prosody."""

    mel: Float[Tensor, "B M T"]
    coded: Coded


@final
class MegaModel(nn.Module):
    """The part ``megatts`` or ``megatts2``."""

    def __init__(self, config: MegaConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        width = config.content.dim
        self.embed = nn.Embedding(config.phones.size, width)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.content = config.content.build()
        self.timbre: MultiReference = config.timbre.build()
        self.prosody: ProsodyCodes = config.prosody.build()
        self.into = nn.Linear(width, config.decoder.width)
        self.prosody_in = nn.Linear(config.prosody.stack.width, config.decoder.width)
        self.decoder = config.decoder.build()
        self.out = nn.Linear(config.decoder.width, config.mel.bins)
        nn.init.constant_(self.out.bias, config.prosody.mean)
        self.durations: PhoneDurations = config.durations.build()
        self.lm: ProsodyLm = config.lm.build()
        takes_earlier_names(self, {"told": "prosody_in"})

    def said(
        self, phones: Int[Tensor, "B P"], there: Bool[Tensor, "B P"], references: References
    ) -> Float[Tensor, "B P D"]:
        """Phones, in the voice of the references."""
        return self.timbre(self.content(self.embed(phones), there), references)

    def forward(self, spoken: TimedSpeech, references: References) -> Drawn:
        """Utterances drawn again from their phones, their prosody's codes, and other recordings of their speakers."""
        said = self.said(spoken.phones, spoken.there, references)
        coded = self.prosody(spoken.mel, self.config.prosody.places(spoken.frames))
        return Drawn(self.draw(said, spoken.frames, coded.values, spoken.mel.shape[2]), coded)

    def draw(
        self, said: Float[Tensor, "B P D"], frames: Int[Tensor, "B P"], prosody: Float[Tensor, "B Q E"],
        length: int | None = None,
    ) -> Float[Tensor, "B M T"]:  # fmt: skip
        """Mel frames of phones in a voice that last so long, with the vectors of prosody codes."""
        size = int(frames.sum(1).max()) if length is None else length
        places = self.config.prosody.places(frames)
        there = torch.arange(size, device=frames.device) < frames.sum(1)[:, None]
        x = spread(self.into(said), frames, size) + spread(self.prosody_in(prosody), places, size)
        return self.out(self.decoder(x, there)).transpose(1, 2)

    def conditions(self, said: Float[Tensor, "B P D"], frames: Int[Tensor, "B P"]) -> Float[Tensor, "B Q D"]:
        """What the language model is told at each code: the phone's vector, or the greatest of its frames'."""
        if not self.config.prosody.stride:
            return said
        return pooled(spread(said, frames), self.config.prosody.places(frames), "amax")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A recording, its phones (a pause first and last) and their frames."""

    mel: Float[Tensor, "M T"]
    phones: Int[Tensor, " P"]
    frames: Int[Tensor, " P"]


@final
class MegaTts:
    """Speaks in the voice of recordings, in the manner of others, or between two manners."""

    takes: Final[frozenset[Taken]] = frozenset({"clip"})

    def __init__(self, model: MegaModel, vocoder: Vocoder, listener: Listener) -> None:
        """``listener`` finds the phones of a prompt. SpecError when the vocoder was trained on other frames."""
        if vocoder.config.mel != model.config.mel:
            raise SpecError(f"the speaker draws {model.config.mel}, the vocoder takes {vocoder.config.mel}")
        self.model, self.vocoder, self.listener = model.eval(), vocoder.eval(), listener
        self.mel = model.config.mel.build()

    @staticmethod
    def load(folder: Path, name: str = "megatts") -> "MegaTts":
        """From the parts of that name and ``vocoder`` in a folder, and the bundled listener."""
        return MegaTts(load_part(folder, name), load_part(folder, "vocoder"), load_part(BUNDLED, "listener"))

    @property
    def sample_rate(self) -> int:
        """Of sound and clips."""
        return self.model.config.mel.sample_rate

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One sentence in the voice and manner of a clip; VoiceError without one."""
        if sentence.prompt is None or sentence.prompt_phones is None:
            raise VoiceError("this speaker imitates clips and has no voice of its own; give --like CLIP")
        clip = sentence.prompt.data[0, 0, : int(sentence.prompt.lengths[0])]
        prompt = self.prompt(clip, sentence.prompt_phones.data[0, 0])
        return self.speak(sentence.phones, [prompt.mel], prompt, seed=sentence.seed)

    @torch.inference_mode()
    def prompt(self, wave: Float[Tensor, " N"], phones: Int[Tensor, " P"]) -> Prompt:
        """A recording at the speaker's rate that says these phones. SpecError for more than there is time for."""
        mel = self.mel(wave[None])[0]
        low = resample(wave[None], self.sample_rate, MEL.sample_rate)[0]
        found = timed_as(self.listener, low, phones, mel.shape[1], self.model.config.mel.rate)
        return Prompt(mel, found.phones, found.frames)

    @torch.inference_mode()
    def plan(
        self, phones: Int[Tensor, " P"], references: Sequence[Float[Tensor, "M _"]], manner: Prompt | None,
        rhythm: Prompt | None = None, share: float = 0.0, *, sampler: Sampler = _SAMPLER, seed: int = 0,
    ) -> tuple[Float[Tensor, "1 P D"], Int[Tensor, " P"], Int[Tensor, " Q"]]:  # fmt: skip
        """The phones in the references' voice, their frames, and prosody codes in a manner.

        ``share`` of the codes' logits are those that ``rhythm`` expects, the rest those of ``manner``; lengths go on
        with the manner's. ConfigError for a share without a rhythm.
        """
        if not 0 <= share <= 1 or (share and rhythm is None):
            raise ConfigError(f"a share of {share} needs a second prompt, and is from 0 to 1")
        model, voices = self.model, _together(references)
        own = self._said(phones, voices)
        prompts, shares = [], (1 - share, share) if rhythm is not None else (1.0,)
        for prompt in (manner, rhythm) if rhythm is not None else (manner,):
            prompts.append(self._heard(prompt, voices))
        if manner is None:
            frames = model.durations.predict(own, phones.new_zeros(0))
        else:
            before = self._said(manner.phones, voices)
            frames = model.durations.predict(torch.cat((before, own), dim=1), manner.frames)
        condition = model.conditions(own, frames[None])[0]
        return own, frames, write_prosody(model.lm, condition, prompts, shares, sampler, Uniforms(seed))

    @torch.inference_mode()
    def speak(
        self, phones: Stream[Tokens], references: Sequence[Float[Tensor, "M _"]], manner: Prompt | None,
        rhythm: Prompt | None = None, share: float = 0.0, *, sampler: Sampler = _SAMPLER, seed: int = 0,
    ) -> Stream[Wave]:  # fmt: skip
        """A row of sound; see `plan`. SpecError for phones of another alphabet."""
        row = phones.expect(self.model.config.phones).data[0, 0, : int(phones.lengths[0])]
        own, frames, codes = self.plan(row, references, manner, rhythm, share, sampler=sampler, seed=seed)
        kept = self.model.config.prosody.places(frames[None]) > 0
        mel = self.model.draw(own, frames[None], self.model.prosody.decode(codes[None], kept))
        spec = Latents(
            name="mel", alphabet=alphabet_of("mel", dump(self.model.config.mel)), dim=mel.shape[1],
            rate=self.model.config.mel.rate,
        )  # fmt: skip
        return self.vocoder.speak(whole(spec, mel))

    def _said(self, phones: Int[Tensor, " P"], voices: References) -> Float[Tensor, "1 P D"]:
        return self.model.said(phones[None], torch.ones(1, len(phones), dtype=torch.bool), voices)

    def _heard(self, prompt: Prompt | None, voices: References) -> ProsodyPrompt:
        """A manner's codes, under its phones in the voice that is to speak."""
        if prompt is None:
            return ProsodyPrompt(torch.zeros(0, self.model.config.lm.condition), torch.zeros(0, dtype=torch.long))
        counts = self.model.config.prosody.places(prompt.frames[None])
        codes, kept = self.model.prosody(prompt.mel[None], counts).codes[0], counts[0] > 0
        condition = self.model.conditions(self._said(prompt.phones, voices), prompt.frames[None])[0]
        return ProsodyPrompt(condition[kept], codes[kept])


def _together(references: Sequence[Float[Tensor, "M _"]]) -> References:
    """References of one speaker; SpecError without any."""
    if not references:
        raise SpecError("a voice needs at least one reference; give the mel frames of a recording")
    lengths = torch.tensor([[one.shape[1] for one in references]])
    most = int(lengths.max())
    padded = [nn.functional.pad(one, (0, most - one.shape[1])) for one in references]
    return References(torch.stack(padded)[None], lengths)


speaker = MegaTts.load
