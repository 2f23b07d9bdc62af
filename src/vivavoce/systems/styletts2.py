"""StyleTTS 2: styles drawn by diffusion, sound made end to end, an adversary that knows speech (arXiv:2306.07691).

Two styles: of the voice (for the decoder) and of the manner (for prosody); both are drawn from the text together, by
EDM, for a speaker whose clip may be given. Departs as StyleTTS does (`systems.styletts`); the path of durations in
training is divided by its sum (`nn.soft_durations`).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.audio.mel import LogMel
from vivavoce.core import rng
from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import load_part
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave, whole
from vivavoce.generate.diffusion import RowNoise, guided, sample
from vivavoce.models.aligner import Aligner, AlignerConfig
from vivavoce.models.style_diffusion import PhoneReader, PhoneReaderConfig, StyleDenoiser, StyleDenoiserConfig
from vivavoce.models.style_encoder import StyleEncoder
from vivavoce.models.style_speech import PhoneEncoder, ProsodyOfStyle, StyleDecoder, StyleSpeechConfig, durations_of
from vivavoce.models.vocoder import UpsampledWave
from vivavoce.nn.diffusion import Edm
from vivavoce.nn.harmonics import HarmonicSource
from vivavoce.nn.hifigan import InverseHead, UpsamplerConfig
from vivavoce.nn.monotonic import path_of
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.styletts import LEAST_SECONDS, levelled, repeated

_SILENT = 1e-7
HERTZ = 100.0
"""In which pitch is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Styletts2Config(StyleSpeechConfig):
    """``strides`` lead to the inverse transform of ``window`` and ``last_hop``; nets that read and that draw styles."""

    channels: int = 512
    strides: tuple[int, ...] = (10, 6)
    window: int = 20
    last_hop: int = 5
    block_kernels: tuple[int, ...] = (3, 7, 11)
    reader: TransformerConfig = TransformerConfig(
        dim=512, layers=6, heads=8, kv_heads=8, hidden=1408, window=1000, causal=False
    )
    denoiser: TransformerConfig = TransformerConfig(
        dim=512, layers=3, heads=8, kv_heads=8, hidden=1024, window=1000, causal=False, condition=512
    )

    @property
    def up(self) -> UpsamplerConfig:
        """The generator's stages."""
        return UpsamplerConfig(
            inputs=self.decoder // 2, channels=self.channels, strides=self.strides,
            kernels=tuple(2 * stride for stride in self.strides), block_kernels=self.block_kernels,
            style=self.style.outputs, source=self.window + 2,
        )  # fmt: skip

    def build(self) -> "Styletts2Model":
        """The module with fresh weights; ConfigError where strides do not make a hop of a frame."""
        if (made := self.up.stride * self.last_hop) != self.mel.hop:
            raise ConfigError(
                f"the strides make {made} samples of a frame, whose hop is {self.mel.hop}; make them equal"
            )
        return Styletts2Model(self)


@final
class Styletts2Model(nn.Module):
    """The part ``styletts2``; ``usual`` are the two styles, one after the other, that it has for no speaker."""

    usual: Tensor
    spread: Tensor

    def __init__(self, config: Styletts2Config) -> None:
        """Fresh weights; ``spread`` is the deviation of styles, which is followed in training."""
        super().__init__()
        self.config = config
        size, style = config.phones.size, config.style.outputs
        self.front: LogMel = config.mel.build()
        self.text = PhoneEncoder(size, config.dim)
        self.voice: StyleEncoder = config.style.build()
        self.manner: StyleEncoder = config.style.build()
        self.aligner: Aligner = AlignerConfig(bins=config.mel.bins, phones=size, dim=config.aligner).build()
        self.decoder = StyleDecoder(config.dim, config.decoder, style, config.decoder // 2)
        self.source = HarmonicSource(config.mel.sample_rate, config.mel.hop)
        self.generator = UpsampledWave(config.up, InverseHead(config.up.outputs, config.window, config.last_hop))
        self.reader: PhoneReader = PhoneReaderConfig(phones=size, trunk=config.reader).build()
        self.prosody = ProsodyOfStyle(config.reader.dim, config.dim, style, config.longest)
        self.denoiser: StyleDenoiser = StyleDenoiserConfig(
            style=2 * style, text=config.reader.dim, trunk=config.denoiser
        ).build()
        self.register_buffer("usual", torch.zeros(2 * style))
        self.register_buffer("spread", torch.tensor(0.2))

    def styles(self, mel: Float[Tensor, "B M T"]) -> Float[Tensor, "B C"]:
        """Of voice and manner, one after the other, from log-mel frames."""
        level = levelled(mel)
        return torch.cat((self.voice(level), self.manner(level)), dim=1)

    @property
    def schedule(self) -> Edm:
        """The path from styles to noise, by how far styles are spread now."""
        return Edm(data=float(self.spread), mean=-3.0, deviation=1.0, least=1e-4, most=3.0, rho=9.0)

    def denoised(
        self,
        x: Float[Tensor, "B C"],
        time: Float[Tensor, " B"],
        read: Float[Tensor, "B P D"],
        lengths: Int[Tensor, " B"],
        speaker: Float[Tensor, "B C"],
        without_text: Bool[Tensor, " B"] | None = None,
    ) -> Float[Tensor, "B C"]:
        """The styles at a place of that path."""
        return self.schedule.denoise(lambda y, t: self.denoiser(y, t, read, lengths, speaker, without_text), x, time)

    def drawn_styles(
        self,
        read: Float[Tensor, "B P D"],
        lengths: Int[Tensor, " B"],
        speaker: Float[Tensor, "B C"],
        noise: RowNoise,
        *,
        steps: int = 5,
        guidance: float = 1.0,
    ) -> Float[Tensor, "B C"]:
        """Styles for texts, by so many steps of ADPM2; ``guidance`` above 1 follows the text more closely."""
        nobody = torch.ones(len(read), dtype=torch.bool, device=read.device)

        def denoise(x: Tensor, t: Tensor) -> Tensor:
            with_it = self.denoised(x, t, read, lengths, speaker)
            if guidance == 1.0:
                return with_it
            return guided(with_it, self.denoised(x, t, read, lengths, speaker, nobody), guidance)

        def fresh(*form: int) -> Tensor:
            return noise(*form).to(speaker.device)

        times = self.schedule.grid(steps).to(speaker.device)
        return sample(denoise, fresh(speaker.shape[1]), self.schedule, steps, "adpm2", times=times, fresh=fresh)

    def sounded(
        self,
        text: Float[Tensor, "B P D"],
        path: Float[Tensor, "B P S"],
        pitch: Float[Tensor, "B T"],
        loudness: Float[Tensor, "B T"],
        voice: Float[Tensor, "B C"],
        noise: Float[Tensor, "B N"],
    ) -> Float[Tensor, "B N"]:
        """Sound of encoded phones that are held along a path; ``noise`` is that of the excitation."""
        vectors = self.decoder(text.transpose(1, 2) @ path, pitch, loudness, voice)
        source, window = self.source(pitch * HERTZ, noise), self.generator.head.get_buffer("window")
        spectra = torch.stft(source, self.config.window, self.config.last_hop, window=window, return_complex=True)
        silent = spectra.abs() < _SILENT  # has no phase, nor a gradient of one
        seen = torch.where(silent, torch.ones_like(spectra), spectra)
        parts = torch.cat((torch.where(silent, 0.0, seen.abs()), torch.where(silent, 0.0, seen.angle())), dim=1)
        return self.generator(vectors, voice, parts[:, :, :-1])


@final
class Styletts2:
    """Speaks in styles that are drawn for the text, near those of a clip where one is given."""

    takes: frozenset[Taken] = frozenset({"clip"})

    def __init__(
        self, model: Styletts2Model, *, steps: int = 5, guidance: float = 1.0, towards: tuple[float, float] = (0.3, 0.7)
    ) -> None:
        """``towards``: how much of voice and of manner is drawn, where a clip is given; the rest is the clip's."""
        self.model, self.steps, self.guidance, self.towards = model.eval(), steps, guidance, towards

    @property
    def sample_rate(self) -> int:
        """Of its sound and of the clips."""
        return self.model.config.mel.sample_rate

    @torch.inference_mode()
    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One row of sound. SpecError for phones or clips of another kind."""
        model, config = self.model, self.model.config
        stream = sentence.phones.expect(config.phones)
        phones, lengths = stream.data[:, 0], stream.lengths
        speaker = model.usual[None] if sentence.prompt is None else self.styles_of(sentence.prompt)
        read = model.reader(phones, lengths)
        noise = RowNoise([sentence.seed])
        styles = model.drawn_styles(read, lengths, speaker, noise, steps=self.steps, guidance=self.guidance)
        voice, manner = styles.chunk(2, dim=1)
        if sentence.prompt is not None:
            voice, manner = (
                share * drawn + (1 - share) * own
                for share, drawn, own in zip(self.towards, (voice, manner), speaker.chunk(2, dim=1), strict=True)
            )
        encoded = model.prosody.encode(read, lengths, manner)
        durations = durations_of(model.prosody.presence(encoded, lengths), lengths)
        path = path_of(durations, int(durations.sum())).float()
        pitch, loudness = model.prosody.curves(encoded, path, manner)
        samples = pitch.shape[1] * config.mel.hop
        excitation = torch.randn(1, samples, generator=rng.torch_stream(sentence.seed, "excitation"))
        wave = model.sounded(model.text(phones, lengths), path, pitch, loudness, voice, excitation)
        return whole(Wave(sample_rate=self.sample_rate), wave[:, None])

    def styles_of(self, clip: Stream[Wave]) -> Float[Tensor, "1 C"]:
        """Of voice and manner in a clip."""
        wave = clip.expect(Wave(sample_rate=self.sample_rate)).data[0, 0]
        return self.model.styles(self.model.front(repeated(wave, round(LEAST_SECONDS * self.sample_rate))[None]))


def speaker(folder: Path) -> Styletts2:
    """From the part ``styletts2`` in a folder."""
    return Styletts2(load_part(folder, "styletts2"))
