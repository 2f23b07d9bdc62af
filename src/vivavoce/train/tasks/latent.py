"""What latent diffusion learns: which words and sounds belong together, an autoencoder of frames, and the noise."""

from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vivavoce.data.scenes import SceneBatch, SpokenBatch
from vivavoce.losses.adversarial import judge_hinge, maker_hinge
from vivavoce.losses.pairs import paired
from vivavoce.models.latent_sound import LatentSound
from vivavoce.models.vae import Posterior
from vivavoce.nn.diffusion import ScaledLinear
from vivavoce.nn.mel_judges import MelJudgesConfig
from vivavoce.nn.unet import UNet
from vivavoce.systems.voiceldm import VoiceLdmModel
from vivavoce.train.task import Frozen, Losses, Task, Term


@final
class ContrastTask(Task[SceneBatch, Float[Tensor, "B B"]]):
    """The encoder of words and sounds; sounds of one scene fit each other's words."""

    def __init__(self, sound: LatentSound) -> None:
        super().__init__()
        self.model, self.frames = sound.contrastive, Frozen(sound.frames)

    def outputs(self, batch: SceneBatch) -> Float[Tensor, "B B"]:
        """How well each text fits each sound."""
        return self.model.scores(self.model.texts(batch.texts), self.model.sounds(self.frames(batch.wave)))

    def losses(self, phase: str, batch: SceneBatch, out: Float[Tensor, "B B"]) -> Losses:
        """The contrast, and the share of texts that find a sound of their scene."""
        same = torch.tensor([[a == b for b in batch.scenes] for a in batch.scenes], device=out.device)
        right = same[torch.arange(len(out), device=out.device), out.argmax(1)].float().mean()
        return {"contrast": Term(paired(out, same)), "right": Term(right, 0.0)}


class Copied(NamedTuple):
    """Frames, what the autoencoder gives back, and what lies between."""

    real: Float[Tensor, "B M T"]
    made: Float[Tensor, "B M T"]
    between: Posterior


@final
class VaeTask(Task[SceneBatch, Copied]):
    """The autoencoder: absolute distance, a little of the distance to normal numbers, and a judge of patches.

    The judge, which learns only then, counts from step ``judged_from`` on.
    """

    phases: ClassVar[tuple[str, ...]] = ("model", "judge")

    def __init__(
        self, sound: LatentSound, judge: MelJudgesConfig, *, divergence: float, adversarial: float, judged_from: int
    ) -> None:
        super().__init__()
        self.model, self.frames, self.judge = sound.vae, Frozen(sound.frames), judge.build()
        self.divergence, self.adversarial, self.judged_from = divergence, adversarial, judged_from
        self.judged = judged_from == 0

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Autoencoder and judge have an optimiser each."""
        return list((self.model if phase == "model" else self.judge).parameters())

    def skip(self, phase: str, step: int) -> bool:
        """Whether the judge rests."""
        self.judged = step >= self.judged_from
        return phase == "judge" and not self.judged

    def scores(self, frames: Float[Tensor, "B M T"]) -> list[Float[Tensor, "B _ U E"]]:
        """The judge's, of every patch; its window is the whole picture."""
        begin = torch.zeros(len(frames), dtype=torch.long, device=frames.device)
        return [judged.score for judged in self.judge(frames, [begin])]

    def outputs(self, batch: SceneBatch) -> Copied:
        """Frames there and back."""
        real = self.frames(batch.wave)
        between = self.model.encode(real)
        return Copied(real, self.model.decode(between.draw()), between)

    def losses(self, phase: str, batch: SceneBatch, out: Copied) -> Losses:
        """Both distances and the judge's opinion, or the judge's side."""
        if phase == "judge":
            return {"judge": Term(judge_hinge(self.scores(out.real), self.scores(out.made.detach())))}
        terms = {
            "frames": Term((out.made - out.real).abs().mean()),
            "divergence": Term(out.between.divergence(), self.divergence),
        }
        if self.judged:
            terms["adversarial"] = Term(maker_hinge(self.scores(out.made)), self.adversarial)
        return terms


class Noised(NamedTuple):
    """The noise that was added, and what was predicted."""

    noise: Float[Tensor, "B C T M"]
    predicted: Float[Tensor, "B C T M"]


@final
class LatentTask(Task[SceneBatch, Noised]):
    """The noise in latent pictures of sounds, conditioned on the *sounds'* vectors; some rows go without."""

    def __init__(self, sound: LatentSound, unet: UNet, schedule: ScaledLinear, dropped: float) -> None:
        super().__init__()
        self.model, self.sound, self.schedule, self.dropped = unet, Frozen(sound), schedule, dropped

    def outputs(self, batch: SceneBatch) -> Noised:
        """One time, noise and condition per row."""
        with torch.no_grad():
            frames = self.sound.module.frames(batch.wave)
            clean = self.sound.module.latents(frames)
            film = self.condition(frames)
            t = self.schedule.draw(len(clean)).to(clean.device)
            noise = torch.randn_like(clean)
        return Noised(noise, self.model(self.schedule.mix(clean, noise, t), t, film))

    def condition(self, frames: Float[Tensor, "B M T"]) -> Float[Tensor, "B D"]:
        """What the encoder says of the sounds, or of no words."""
        without = torch.rand(len(frames), 1, device=frames.device) < self.dropped
        return torch.where(
            without, self.sound.module.nothing(len(frames)), self.sound.module.contrastive.sounds(frames)
        )

    def losses(self, phase: str, batch: SceneBatch, out: Noised) -> Losses:
        """Mean squared error of the noise."""
        return {"noise": Term((out.predicted - out.noise).square().mean())}


class SpokenNoise(NamedTuple):
    """The noise that was added and what was predicted, and how long the texts are against the recordings (logs)."""

    noise: Float[Tensor, "B C T M"]
    predicted: Float[Tensor, "B C T M"]
    longer: Float[Tensor, " B"]


@final
class SpokenTask(Task[SpokenBatch, SpokenNoise]):
    """The noise in pictures of speech, conditioned on what is said and on how it sounds; each is left out now and then.

    The text's length is learnt beside it where the text is given: by it, a recording's length is chosen.
    """

    def __init__(self, sound: LatentSound, model: VoiceLdmModel, dropped: tuple[float, float], length: float) -> None:
        super().__init__()
        self.model, self.sound, self.dropped, self.length = model, Frozen(sound), dropped, length

    def outputs(self, batch: SpokenBatch) -> SpokenNoise:
        """One time, noise and pair of conditions per row."""
        with torch.no_grad():
            frames = self.sound.module.frames(batch.wave)
            clean = self.sound.module.latents(frames)
            rows, device = len(clean), clean.device
            plain = torch.rand(rows, 1, device=device) < self.dropped[0]
            film = torch.where(plain, self.sound.module.nothing(rows), self.sound.module.contrastive.sounds(frames))
            schedule = self.model.config.schedule
            t, noise = schedule.draw(rows).to(device), torch.randn_like(clean)
        wordless = torch.rand(rows, device=device) < self.dropped[1]
        said = self.model.said(batch.phones, batch.lengths, wordless, clean.shape[2])
        wanted = batch.spoken * clean.shape[2]
        longer = torch.where(wordless, 0.0, (said.places / wanted).log())
        predicted = self.model.unet(schedule.mix(clean, noise, t), t, film, said.memory, said.seen)
        return SpokenNoise(noise, predicted, longer)

    def losses(self, phase: str, batch: SpokenBatch, out: SpokenNoise) -> Losses:
        """Mean squared error of the noise, and of the logarithm of the length."""
        return {
            "noise": Term((out.predicted - out.noise).square().mean()),
            "length": Term(out.longer.square().mean(), self.length),
        }
