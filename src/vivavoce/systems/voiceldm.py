"""VoiceLDM: speech in a scene, by what is said and by words for how it sounds (arXiv:2309.13664).

The net of AudioLDM with a second condition: phones, laid out on the clock of the latent picture (`models.durator`), at
which it looks. The two conditions are weighed apart. Departs: phones instead of SpeechT5's letters; the durator is
taught the length of a recording, so that a sentence is as long as its words; the content of no content is one pause, in
training and afterwards.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave, whole
from vivavoce.generate.diffusion import RowNoise, denoiser, guided_by_two, sample
from vivavoce.models.durator import Durator, DuratorConfig, Placed
from vivavoce.models.latent_sound import LatentSound, LatentSoundConfig
from vivavoce.models.vocoder import Vocoder
from vivavoce.nn.diffusion import Net, ScaledLinear
from vivavoce.nn.unet import UNet, UNetConfig
from vivavoce.text.phones import PHONES, SIL, ids

_NOTHING = ids([SIL])[0]
"""What is said where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceLdmConfig:
    """The AudioLDM's sounds, the net, the phones' way to it, and the path from sound to noise."""

    sound: LatentSoundConfig = LatentSoundConfig()
    unet: UNetConfig = UNetConfig(film=128, memory=256)
    durator: DuratorConfig = DuratorConfig(phones=len(PHONES))
    schedule: ScaledLinear = ScaledLinear()

    def build(self) -> "VoiceLdmModel":
        """The module with fresh weights; ConfigError where the nets do not fit."""
        self.sound.check(self.unet)
        if self.unet.memory != self.durator.trunk.dim:
            raise ConfigError(f"the net looks at {self.unet.memory} numbers, phones have {self.durator.trunk.dim}")
        return VoiceLdmModel(self)


@final
class VoiceLdmModel(nn.Module):
    """The part ``voiceldm``: net and durator; the sounds are those of the part ``audioldm``."""

    def __init__(self, config: VoiceLdmConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        self.unet: UNet = config.unet.build()
        self.durator: Durator = config.durator.build()

    def said(
        self,
        phones: Int[Tensor, "B P"],
        lengths: Int[Tensor, " B"],
        wordless: Bool[Tensor, " B"],
        places: int | None = None,
    ) -> Placed:
        """The memory of what is said; rows that are ``wordless`` say nothing."""
        kept = torch.where(wordless[:, None], _NOTHING, phones)
        return self.durator(kept, torch.where(wordless, 1, lengths), places)


@final
class VoiceLdm:
    """Speaks in a scene."""

    takes: frozenset[Taken] = frozenset(("description", "scene"))

    def __init__(self, model: VoiceLdmModel, sound: LatentSound, vocoder: Vocoder) -> None:
        """SpecError when the sounds or the vocoder are not those that it was trained with."""
        mine = model.config.sound
        if mine != sound.config:
            raise SpecError(f"this model was trained on {mine}, the part audioldm has {sound.config}")
        if vocoder.config.mel != mine.mel:
            raise SpecError(f"the model makes frames of {mine.mel}, the vocoder takes {vocoder.config.mel}")
        self.model, self.sound, self.vocoder = model.eval(), sound.eval(), vocoder.eval()

    @staticmethod
    def load(folder: Path) -> "VoiceLdm":
        """From the parts ``voiceldm``, ``audioldm`` and ``vocoder`` in a folder."""
        sound = load_part(folder, "audioldm").sound
        return VoiceLdm(load_part(folder, "voiceldm"), sound, load_part(folder, "vocoder"))

    @property
    def sample_rate(self) -> int:
        """Of its sound."""
        return self.sound.config.mel.sample_rate

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """A sentence in the voice and the place that are described."""
        words = ", in ".join(part for part in (sentence.description, sentence.scene) if part)
        return self.make(sentence.phones.data[:, 0], words, seed=sentence.seed)

    @torch.inference_mode()
    def make(
        self,
        phones: Int[Tensor, "1 P"],
        words: str,
        *,
        weights: tuple[float, float] = (7.0, 7.0),
        steps: int = 100,
        seed: int = 0,
    ) -> Stream[Wave]:
        """One row; ``weights`` are those of the description and of what is said."""
        lengths = torch.tensor([phones.shape[1]])
        config = self.sound.config
        needed = int(self.model.durator(phones, lengths).places.ceil()) * config.vae.stride
        channels, places, bins = config.picture(max(needed, config.vae.stride))
        noise = RowNoise([seed])
        net = self.net(phones, words, places, weights)
        schedule = self.model.config.schedule
        made = sample(denoiser(net, schedule, "noise"), noise(channels, places, bins), schedule, steps)
        wave = self.vocoder(self.sound.frames.back(self.sound.sounding(made)))
        return whole(Wave(sample_rate=self.sample_rate), wave[:, None].clamp(-1, 1))

    def net(self, phones: Int[Tensor, "1 P"], words: str, places: int, weights: tuple[float, float]) -> Net:
        """The noise that is predicted for a row, by four passes: with both conditions, with each alone, with none."""
        described = self.sound.contrastive.texts([words])
        nothing = self.sound.nothing(1)
        film = torch.cat((described, described, nothing, nothing))
        wordless = torch.tensor([False, True, False, True])
        lengths = torch.full((4,), phones.shape[1])
        said = self.model.said(phones.expand(4, -1), lengths, wordless, places)

        def noise(x: Float[Tensor, "1 C T M"], t: Float[Tensor, " 1"]) -> Tensor:
            four = self.model.unet(x.expand(4, -1, -1, -1), t.expand(4), film, said.memory, said.seen)
            both, first, second, neither = four.chunk(4)
            return guided_by_two(both, first, second, neither, weights)

        return noise


def speaker(folder: Path) -> VoiceLdm:
    """What `vivavoce say --speaker` asks."""
    return VoiceLdm.load(folder)
