"""The voice: phones, their lengths and melody, and a voice print become a mel spectrum, piece by piece.

After FastSpeech 2 (arXiv:2006.04558): lengths are explicit, so nothing can be skipped or said twice, everything can be
told to it (rate, pitch, level), and the times of words are known before they sound. Departs from it: the spectrum is
predicted in the units of the voice (deviations from its mean spectrum), harmonics are drawn from a comb that the pitch
gives, and the decoder is causal and stepped. It makes two mel frames at a time.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.stft import hz_of_mel, mel_of_hz
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.models.manner import Manner
from vivavoce.models.plan import PLAIN, STACK, Plan, decided
from vivavoce.models.presets import Presets
from vivavoce.models.script import MARK_IDS, PLACES, STRESSES, Script
from vivavoce.nn.few import Linear
from vivavoce.nn.mixer import FrameBlock, TextBlock
from vivavoce.nn.prosody import FEATURES, PITCH_CENTRE, FrameTable, ProsodyPredictorConfig
from vivavoce.nn.renamed import takes_earlier_names
from vivavoce.nn.style import ReferenceEncoderConfig, VoicePrint, spectrum_stats, stack_prints, top_bin_of

COMB_BINS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerConfig:
    """About 4 M parameters; ``voices`` names the prints that it brings along."""

    mel: LogMelConfig = field(default_factory=LogMelConfig)
    phones: int = 40
    text_width: int = 192
    text_blocks: int = 3
    width: int = 256
    blocks: int = 5
    kernel: int = 5
    voice: int = 128
    reference: ReferenceEncoderConfig = field(default_factory=ReferenceEncoderConfig)
    voices: tuple[str, ...] = ()

    @property
    def rate(self) -> Fraction:
        """Steps per second."""
        return self.mel.rate / STACK

    @property
    def inputs(self) -> int:
        """Numbers per step: condition, combs, voice, mean and deviation of the spectrum."""
        return self.width + STACK * COMB_BINS + self.voice + 2 * self.mel.bins

    def build(self) -> "Speaker":
        """The module."""
        return Speaker(self)


@dataclass
class SpeakerState(State):
    """What each causal convolution still sees."""

    past: list[Float[Tensor, "B P D"]]


@final
class Speaker(Presets):
    """See the file's text. `encode`, `prosody` and `conditions` plan a sentence; `step` draws it."""

    bin_hz: Tensor
    typical_mean: Tensor
    typical_spread: Tensor

    def __init__(self, config: SpeakerConfig) -> None:
        """Random weights; the typical spectrum is set from training data."""
        super().__init__(config.voices, config.reference.vector, config.mel.bins)
        self.config = config
        sizes = (config.phones, STRESSES, PLACES, len(MARK_IDS))
        self.tables = nn.ModuleList(nn.Embedding(size, config.text_width) for size in sizes)
        self.text = nn.ModuleList(TextBlock(config.text_width) for _ in range(config.text_blocks))
        self.text_norm = nn.LayerNorm(config.text_width)
        self.reference = config.reference.build()
        self.voice = nn.Linear(config.reference.vector + 2 + 2 * config.mel.bins, config.voice)
        self.prosody = ProsodyPredictorConfig(
            inputs=config.text_width, voice=config.voice, width=config.text_width
        ).build()
        self.now = Linear(config.text_width, config.width)
        self.later = Linear(config.text_width, config.width)
        self.features = nn.Sequential(
            Linear(STACK * (FEATURES + COMB_BINS), config.width), nn.ReLU(), Linear(config.width, config.width)
        )
        takes_earlier_names(self, {"told": "features"})
        self.blocks = nn.ModuleList(FrameBlock(config.width, config.kernel, config.voice) for _ in range(config.blocks))
        self.out_norm = nn.LayerNorm(config.width)
        self.out = Linear(config.width, STACK * (config.mel.bins + COMB_BINS))
        top = float(mel_of_hz(torch.tensor(config.mel.fmax)))
        centres = hz_of_mel(torch.linspace(0, top, config.mel.bins + 2)[1:-1])
        self.register_buffer("bin_hz", centres[:COMB_BINS], persistent=False)
        self.register_buffer("typical_mean", torch.full((config.mel.bins,), -5.0))
        self.register_buffer("typical_spread", torch.full((config.mel.bins,), 1.5))

    @property
    def timing(self) -> Timing:
        """A step is two mel frames; everything it needs is in its input."""
        return Timing(rate=self.config.mel.rate, hop=STACK)

    # --- who speaks -------------------------------------------------------------------------------------------------

    def listen(self, mel: Float[Tensor, "T M"], hz: Float[Tensor, " T"], top_bin: int | None = None) -> VoicePrint:
        """The print of a voice from a clip's mel and pitch."""
        top_bin = top_bin_of(mel) if top_bin is None else top_bin
        mean, spread = spectrum_stats(mel, top_bin, (self.typical_mean, self.typical_spread))
        octaves = hz[hz > 0].log2()
        pitch = octaves.median() if len(octaves) else torch.tensor(PITCH_CENTRE)
        near = octaves[(octaves - pitch).abs() < 0.6]
        liveliness = near.std() if len(near) > 10 else torch.tensor(0.2)
        return VoicePrint(self.reference(mel[None])[0], mean, spread, pitch, liveliness)

    def voice_of(self, who: VoicePrint) -> Float[Tensor, "B E"]:
        """The vector that colours every layer, from a print with a leading axis."""
        numbers = torch.stack((who.pitch - PITCH_CENTRE, 4 * (who.liveliness - 0.2)), dim=1)
        colour = torch.cat((who.mean - self.typical_mean, 2 * (who.spread - self.typical_spread)), dim=1)
        return torch.tanh(self.voice(torch.cat((who.vector, 2 * numbers, colour), dim=1)))

    # --- what is said -----------------------------------------------------------------------------------------------

    def encode(self, table: Int[Tensor, "B P 4"], mask: Float[Tensor, "B P 1"]) -> Float[Tensor, "B P D"]:
        """Phones with their surroundings."""
        x = sum(embed(table[:, :, i]) for i, embed in enumerate(self.tables))
        for block in self.text:
            x = block(x, mask)
        return self.text_norm(x)

    def plan(self, script: Script, who: VoicePrint, manner: Manner = PLAIN) -> Plan:
        """Everything about a sentence but its spectrum: lengths, melody, levels and so the times of its words."""
        encoded = self.encode(script.table()[None], torch.ones(1, len(script), 1))
        voice = self.voice_of(stack_prints([who]))
        raw = self.prosody(encoded, voice, torch.ones(1, len(script), 1))[0]
        who, frames, table = decided(raw, script, who, manner)
        return Plan(script, who, manner, encoded, voice, frames, table)

    def inputs_of(self, plan: Plan, begin: int, steps: int) -> Float[Tensor, "1 U I"]:
        """The input of `step` for the steps [begin, begin + steps) of a plan; beyond its end the last frame is held."""
        table, manner = plan.table, plan.manner
        at = torch.arange(begin * STACK, (begin + steps) * STACK).clamp(max=len(table.octaves) - 1)
        piece = FrameTable(*(part[at][None] for part in (table.phone, table.later, table.features, table.octaves)))
        x = self.conditions(plan.encoded, plan.voice, piece, stack_prints([plan.who]))
        depth = 1 - max(0.55 * manner.roughness, 0.4 * manner.breath, manner.whisper)
        x[:, :, self.config.width : self.config.width + STACK * COMB_BINS] *= depth
        return x

    def speak(self, plan: Plan, steps: int = 64) -> Float[Tensor, "M T"]:
        """The whole spectrum of a plan, drawn piece by piece."""
        state = self.init_state(1)
        pieces = [
            self.step(self.inputs_of(plan, at, min(steps, plan.steps - at)), state)
            for at in range(0, plan.steps, steps)
        ]
        return torch.cat(pieces, dim=2)[0]

    # --- how it looks -----------------------------------------------------------------------------------------------

    def comb(self, octaves: Float[Tensor, "*B"]) -> Float[Tensor, "*B C"]:
        """Where harmonics of a pitch lie: 1 on them, -1 between."""
        return torch.cos(2 * math.pi * self.bin_hz / torch.exp2(octaves.float())[..., None])

    def conditions(
        self, encoded: Float[Tensor, "B P D"], voice: Float[Tensor, "B E"], frames: FrameTable, who: VoicePrint
    ) -> Float[Tensor, "B U I"]:
        """The input of `step` for frames (an even number of them)."""
        condition, comb = self._conditions(encoded, frames)
        steps = condition.shape[1]
        ends = (voice[:, None], who.mean[:, None], who.spread[:, None])
        return torch.cat((condition, comb, *(end.expand(-1, steps, -1) for end in ends)), dim=2)

    def draw(
        self, encoded: Float[Tensor, "B P D"], voice: Float[Tensor, "B E"], frames: FrameTable
    ) -> Float[Tensor, "B T M"]:
        """Training: the spectrum of a piece in units of the voice, all at once."""
        condition, comb = self._conditions(encoded, frames)
        past = self.init_state(len(condition)).past
        return self._decode(condition, comb, voice[:, None], past)[0]

    def init_state(self, rows: int) -> SpeakerState:
        """Silence before."""
        shape = (self.config.kernel - 1, self.config.width)
        return SpeakerState([zeros(rows, *shape, like=self.out_norm.weight) for _ in self.blocks])

    def step(
        self, x: Float[Tensor, "B U I"], state: SpeakerState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B M T"]:
        """The next mel frames, two per input."""
        bins = self.config.mel.bins
        sizes = (self.config.width, STACK * COMB_BINS, self.config.voice, bins, bins)
        condition, comb, voice, mean, spread = x.split(sizes, dim=2)
        if x.shape[1] == 0:
            return x.new_zeros(len(x), bins, 0)
        before = state.clone() if active is not None else state
        units, past = self._decode(condition, comb, voice, state.past)
        for kept, new in zip(state.past, past, strict=True):
            kept.copy_(new)
        state.keep(before, active)
        mel = units * spread.repeat_interleave(STACK, dim=1) + mean.repeat_interleave(STACK, dim=1)
        return mel.transpose(1, 2)

    def _conditions(
        self, encoded: Float[Tensor, "B P D"], frames: FrameTable
    ) -> tuple[Float[Tensor, "B U W"], Float[Tensor, "B U C"]]:
        batch, length = frames.phone.shape

        def pairs(index: Int[Tensor, "B T"], projected: Float[Tensor, "B P W"]) -> Float[Tensor, "B U W"]:
            taken = projected.gather(1, index[:, :, None].expand(-1, -1, projected.shape[2]))
            return taken.view(batch, length // STACK, STACK, -1).mean(dim=2)

        comb = self.comb(frames.octaves)
        numbers = torch.cat((frames.features, comb), dim=2).view(batch, length // STACK, -1)
        condition = (
            pairs(frames.phone, self.now(encoded)) + pairs(frames.later, self.later(encoded)) + self.features(numbers)
        )
        return condition, comb.reshape(batch, length // STACK, STACK * COMB_BINS)

    def _decode(
        self,
        condition: Float[Tensor, "B U W"],
        comb: Float[Tensor, "B U C"],
        voice: Float[Tensor, "B V E"],
        past: list[Float[Tensor, "B P D"]],
    ) -> tuple[Float[Tensor, "B T M"], list[Float[Tensor, "B P D"]]]:
        x = condition
        kept = []
        for block, before in zip(self.blocks, past, strict=True):
            kept.append(torch.cat((before, x), dim=1)[:, -(self.config.kernel - 1) :])
            x = block(x, before, voice)
        y = self.out(self.out_norm(x)).float()
        batch, steps, _ = y.shape
        y = y.view(batch, steps * STACK, -1)
        drawn, gate = y.split((self.config.mel.bins, COMB_BINS), dim=2)
        harmonics = gate * comb.reshape(batch, steps * STACK, COMB_BINS)
        return drawn + pad(harmonics, (0, self.config.mel.bins - COMB_BINS)), kept
