"""StyleTTS: speech in the style of a clip, all frames at once (arXiv:2205.15439).

Phones are held for durations that are sums of sigmoids; pitch, loudness and frames follow a style vector through
adaptive norms; a vocoder makes the sound. Learning needs an aligner, speaking does not. Departs: pitch as `audio.pitch`
tracks it, in place of a net that is fine-tuned; the aligner hears log-mel and is learnt with the rest; no spectral
norm.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave
from vivavoce.models.aligner import Aligner, AlignerConfig
from vivavoce.models.style_encoder import StyleEncoder
from vivavoce.models.style_speech import PhoneEncoder, ProsodyOfStyle, StyleDecoder, StyleSpeechConfig, durations_of
from vivavoce.models.vocoder import Vocoder
from vivavoce.nn.monotonic import path_of

_MEAN, _DEVIATION = -5.0, 2.5
LEAST_SECONDS = 0.5
"""A clip that is shorter says nothing about a style; it is repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StylettsConfig(StyleSpeechConfig):
    """Nothing beside what all of its kind have."""

    def build(self) -> "StylettsModel":
        """The module with fresh weights."""
        return StylettsModel(self)


def levelled(mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B M T"]:
    """Log-mel frames near zero mean and unit deviation."""
    return (mel - _MEAN) / _DEVIATION


def loudness_of(mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B T"]:
    """The logarithm of the norm of each frame's magnitudes, levelled alike."""
    return (mel.float().exp().norm(dim=1).clamp(min=1e-5).log() - _MEAN) / _DEVIATION


@final
class StylettsModel(nn.Module):
    """The part ``styletts``."""

    usual: Tensor

    def __init__(self, config: StylettsConfig) -> None:
        """Fresh weights; ``usual`` is the style in which it speaks where no clip is given."""
        super().__init__()
        self.config = config
        size, style = config.phones.size, config.style.outputs
        self.text = PhoneEncoder(size, config.dim)
        self.style: StyleEncoder = config.style.build()
        self.aligner: Aligner = AlignerConfig(bins=config.mel.bins, phones=size, dim=config.aligner).build()
        self.decoder = StyleDecoder(config.dim, config.decoder, style, config.decoder // 2)
        self.frames = nn.Conv1d(config.decoder // 2, config.mel.bins, 1)
        self.prosody = ProsodyOfStyle(config.dim, config.dim, style, config.longest)
        self.register_buffer("usual", torch.zeros(style))

    def drawn(
        self,
        text: Float[Tensor, "B P D"],
        path: Float[Tensor, "B P S"],
        pitch: Float[Tensor, "B T"],
        loudness: Float[Tensor, "B T"],
        style: Float[Tensor, "B C"],
        frames: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B M T"]:
        """Levelled mel frames of encoded phones that are held along a path, padded after ``frames``."""
        return self.frames(self.decoder(text.transpose(1, 2) @ path, pitch, loudness, style, frames))

    @torch.no_grad()
    def mel(
        self, phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"], style: Float[Tensor, "B C"]
    ) -> tuple[Float[Tensor, "B M T"], Int[Tensor, " B"]]:
        """Log-mel frames of phones in a style, and how many each row has; a row does not depend on those beside it."""
        text = self.text(phones, lengths)
        encoded = self.prosody.encode(text, lengths, style)
        durations = durations_of(self.prosody.presence(encoded, lengths), lengths)
        held = durations.sum(1)
        path = path_of(durations, int(held.max())).float()
        pitch, loudness = self.prosody.curves(encoded, path, style, held)
        return self.drawn(text, path, pitch, loudness, style, held) * _DEVIATION + _MEAN, 2 * held


def repeated(wave: Float[Tensor, " N"], samples: int) -> Float[Tensor, " M"]:
    """Sound of at least so many samples; what is shorter is repeated, and no sound is silence."""
    if not len(wave):
        return wave.new_zeros(samples)
    return wave if len(wave) >= samples else wave.repeat(-(-samples // len(wave)))[:samples]


@final
class Styletts:
    """Speaks in the style of a clip, or in the usual one."""

    takes: frozenset[Taken] = frozenset({"clip"})

    def __init__(self, model: StylettsModel, vocoder: Vocoder) -> None:
        """SpecError when the vocoder takes other frames than the model draws."""
        if vocoder.config.mel != model.config.mel:
            raise SpecError(
                f"the model draws frames of {model.config.mel}, the vocoder takes {vocoder.config.mel} instead"
            )
        self.model, self.vocoder = model.eval(), vocoder.eval()

    @property
    def sample_rate(self) -> int:
        """Of its sound and of the clips."""
        return self.vocoder.config.sample_rate

    @torch.inference_mode()
    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One row of sound. SpecError for phones or clips of another kind."""
        phones = sentence.phones.expect(self.model.config.phones)
        style = self.model.usual[None] if sentence.prompt is None else self.style_of(sentence.prompt)
        mel, frames = self.model.mel(phones.data[:, 0], phones.lengths, style)
        return self.vocoder.speak(Stream(self.vocoder.config.frames, mel, frames))

    def style_of(self, clip: Stream[Wave]) -> Float[Tensor, "1 C"]:
        """How somebody speaks in a clip."""
        wave = clip.expect(self.vocoder.config.wave).data[0, 0]
        heard = repeated(wave, round(LEAST_SECONDS * self.sample_rate))
        return self.model.style(levelled(self.vocoder.mel(heard[None])))


def speaker(folder: Path) -> Styletts:
    """From the parts ``styletts`` and ``vocoder`` in a folder."""
    return Styletts(load_part(folder, "styletts"), load_part(folder, "vocoder"))
