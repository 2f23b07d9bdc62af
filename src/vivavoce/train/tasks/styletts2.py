"""Learning StyleTTS 2 (arXiv:2306.07691 §3.2): sound end to end, then everything together.

Together: prosody and the diffusion of styles are learnt beside the sound; now and then a text that nobody read is said,
and a judge of a speech encoder's features pulls at prosody and diffusion through durations that carry a gradient
(`nn.soft_durations`). What it pulls is held down (`held_down`). The gradient reaches the diffusion through the last
step of its walk.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.generate.diffusion import RowNoise
from vivavoce.losses.adversarial import feature_matching, judge_squares, maker_squares
from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.models.aligner import Aligned, aligner_losses
from vivavoce.models.speech_features import SpeechFeatures, SpeechJudge
from vivavoce.nn.diffusion import by_row
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.soft_durations import soft_path
from vivavoce.systems.styletts import levelled, loudness_of
from vivavoce.systems.styletts2 import Styletts2Model
from vivavoce.train.task import Frozen, Losses, Task, Term
from vivavoce.train.tasks.styletts import StyleBatch, chosen, cut, duration_loss, pieces

_WITHOUT_TEXT = 0.1
"""Share of rows whose text the denoiser does not see."""
_HIDDEN = 0.15
"""Share of phones that the reader fills in."""
_FOLLOWED = 0.1
_LEAST_SPREAD = 1e-2
_HELD = ("prosody.present.", "prosody.lengths_memory.", "denoiser.")
_PULLED = ("prosody.", "reader.", "denoiser.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Styletts2Weights:
    """What each term counts (the authors' numbers); lengths of crops in mel frames.

    From step ``unseen_from`` of the second stage on, an unseen text is said in every ``unseen_every``-th step, in
    ``styles_steps`` of diffusion.
    """

    mel: float = 5.0
    adversarial: float = 1.0
    features: float = 1.0
    speech: float = 1.0
    spelled: float = 1.0
    heard: float = 1.0
    monotonic: float = 10.0
    soft: float = 0.5
    pitch: float = 1.0
    loudness: float = 1.0
    durations: float = 1.0
    present: float = 20.0
    diffusion: float = 1.0
    styles: float = 1.0
    unseen: float = 1.0
    unseen_every: int = 10
    unseen_from: int = 0
    styles_steps: int = 4
    threshold: float = 5.0
    held: float = 0.01
    crop: int = 160
    style_crop: int = 192


def held_down(gradients: Mapping[str, Tensor], threshold: float, held: float) -> dict[str, Tensor]:
    """Gradients of the speech judge as they are let through.

    Where those of prosody are longer than ``threshold`` together, all are divided by that length; those of durations
    and of the diffusion are multiplied by ``held``.
    """
    size = torch.stack([g.square().sum() for name, g in gradients.items() if name.startswith("prosody.")]).sum().sqrt()
    factor = 1 / float(size) if float(size) > threshold else 1.0
    return {name: g * factor * (held if name.startswith(_HELD) else 1.0) for name, g in gradients.items()}


@final
class PhonesRead(Task[StyleBatch, tuple[Tensor, Tensor]]):
    """The reader of phones alone: hidden ones are filled in."""

    def __init__(self, model: Styletts2Model) -> None:
        super().__init__()
        self.reader = model.reader

    def outputs(self, batch: StyleBatch) -> tuple[Tensor, Tensor]:
        """Scores of the hidden phones, and which they are."""
        phones, lengths = (batch.phones, batch.lengths) if batch.unseen is None else batch.unseen
        valid = torch.arange(phones.shape[1], device=phones.device) < lengths[:, None]
        hidden = valid & (torch.rand(phones.shape, device=phones.device) < _HIDDEN)
        hidden[:, 0] = True  # one at least
        return self.reader.out(self.reader(phones, lengths, hidden))[hidden], phones[hidden]

    def losses(self, phase: str, batch: StyleBatch, out: tuple[Tensor, Tensor]) -> Losses:
        """Cross-entropy."""
        return {"phones": Term(F.cross_entropy(out[0].float(), out[1]))}


class Made(NamedTuple):
    """A crop of a recording and of what was made, with what else a stage has found."""

    real: Float[Tensor, "B N"]
    made: Float[Tensor, "B N"]
    terms: Mapping[str, Term]
    unseen: Float[Tensor, "B M"] | None = None


class _Sounding(Task[StyleBatch, Made]):
    """What both stages have in common: judges of waves, distances of spectra and of a speech encoder's features."""

    def __init__(
        self, model: Styletts2Model, judges: DiscriminatorConfig, speech: SpeechFeatures, weights: Styletts2Weights,
        spectra: MultiSpectralConfig,
    ) -> None:  # fmt: skip
        super().__init__()
        self.model, self.judges, self.weights = model, judges.build(), weights
        self.speech, self.spectral = Frozen(speech), spectra.build()
        self.hop = model.config.mel.hop

    def everything(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, " B"]:
        """No frequency of a recording is left out."""
        return torch.full((len(wave),), self.model.config.mel.sample_rate / 2, device=wave.device)

    def own_styles(self, batch: StyleBatch) -> Float[Tensor, "B C"]:
        """Styles of a piece of each recording."""
        begins, size = pieces(batch.frames, self.weights.style_crop)
        return self.model.styles(cut(batch.mel, 2 * begins, 2 * size))

    def voiced(
        self,
        text: Float[Tensor, "B P D"],
        path: Float[Tensor, "B P S"],
        pitch: Float[Tensor, "B T"],
        loudness: Float[Tensor, "B T"],
        voice: Float[Tensor, "B C"],
    ) -> Float[Tensor, "B N"]:
        """Sound with fresh noise in its excitation."""
        noise = torch.randn(len(pitch), pitch.shape[1] * self.hop, device=pitch.device)
        return self.model.sounded(text, path, pitch, loudness, voice, noise)

    def judging(self, out: Made) -> Losses:
        """Of the judges of waves."""
        hz = self.everything(out.real)
        real, made = self.judges(out.real, hz), self.judges(out.made.detach(), hz)
        return {"judges": Term(judge_squares([j.score for j in real], [j.score for j in made]))}

    def making(self, out: Made) -> dict[str, Term]:
        """What sound is pulled by."""
        weights, hz = self.weights, self.everything(out.real)
        with torch.no_grad():
            theirs, known = self.judges(out.real, hz), self.speech(out.real)
        ours = self.judges(out.made, hz)
        mel, linear = self.spectral(out.made, out.real, hz)
        far = (self.speech(out.made) - known).abs().mean() / known.abs().mean().clamp(min=1e-3)
        features = feature_matching([j.features for j in theirs], [j.features for j in ours])
        return {
            "mel": Term(mel, weights.mel),
            "linear": Term(linear, weights.mel),
            "adversarial": Term(maker_squares([j.score for j in ours]), weights.adversarial),
            "features": Term(features, weights.features),
            "speech": Term(far, weights.speech),
            **out.terms,
        }


@final
class Styletts2Sound(_Sounding):
    """The first stage: text, aligner, style of the voice, decoder and generator."""

    phases: ClassVar[tuple[str, ...]] = ("voice", "judges")

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """Everything that makes sound of known prosody; the judges."""
        if phase == "judges":
            return list(self.judges.parameters())
        later = ("prosody.", "reader.", "denoiser.", "manner.")
        return [p for name, p in self.model.named_parameters() if not name.startswith(later)]

    def outputs(self, batch: StyleBatch) -> Made:
        """Aligns, holds, sounds."""
        model, weights = self.model, self.weights
        found: Aligned = model.aligner(levelled(batch.mel), batch.frames, batch.phones, batch.lengths)
        text, voice = model.text(batch.phones, batch.lengths), self.own_styles(batch).chunk(2, dim=1)[0]
        begins, size = pieces(batch.frames, weights.crop)
        path = cut(chosen(found, weights.soft), begins, size)
        pitch, loudness = (cut(x, 2 * begins, 2 * size) for x in (batch.pitch, loudness_of(batch.mel)))
        made = self.voiced(text, path, pitch, loudness, voice)
        aligned = aligner_losses(found, batch.frames, batch.phones, batch.lengths)
        terms = {name: Term(value, getattr(weights, name)) for name, value in aligned.items()}
        return Made(cut(batch.wave, 2 * begins * self.hop, 2 * size * self.hop), made, terms)

    def losses(self, phase: str, batch: StyleBatch, out: Made) -> Losses:
        """Of one side."""
        return self.judging(out) if phase == "judges" else self.making(out)


@final
class Styletts2Joint(_Sounding):
    """The second stage: everything but the aligner, whose hard path is taken as it is."""

    phases: ClassVar[tuple[str, ...]] = ("voice", "judges", "speech")
    turn: Tensor

    def __init__(
        self, model: Styletts2Model, judges: DiscriminatorConfig, speech: SpeechFeatures, weights: Styletts2Weights,
        spectra: MultiSpectralConfig,
    ) -> None:  # fmt: skip
        super().__init__(model, judges, speech, weights, spectra)
        self.speech_judge = SpeechJudge(speech.dim)
        self.register_buffer("turn", torch.zeros((), dtype=torch.long))

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """The model without its aligner; the judges of waves; the judge of speech."""
        if phase == "voice":
            return [p for name, p in self.model.named_parameters() if not name.startswith("aligner.")]
        return list((self.judges if phase == "judges" else self.speech_judge).parameters())

    def skip(self, phase: str, step: int) -> bool:
        """The judge of speech learns where an unseen text is said."""
        return phase == "speech" and not self.speaks(step)

    def speaks(self, step: int) -> bool:
        """Whether an unseen text is said in this step."""
        weights = self.weights
        return step >= weights.unseen_from and (step - weights.unseen_from) % weights.unseen_every == 0

    def after_step(self, step: int) -> None:
        """Counts."""
        self.turn.fill_(step + 1)

    def outputs(self, batch: StyleBatch) -> Made:
        """Makes a recording again with predicted prosody, and perhaps a text that nobody read."""
        model, weights, prosody = self.model, self.weights, self.model.prosody
        model.aligner.eval()
        with torch.no_grad():
            found: Aligned = model.aligner(levelled(batch.mel), batch.frames, batch.phones, batch.lengths)
        own, speaker = self.own_styles(batch), model.styles(batch.reference).detach()
        voice, manner = own.chunk(2, dim=1)
        read = model.reader(batch.phones, batch.lengths)
        encoded = prosody.encode(read, batch.lengths, manner)
        presence = prosody.presence(encoded, batch.lengths)
        begins, size = pieces(batch.frames, weights.crop)
        path = cut(found.hard, begins, size)
        curves = prosody.curves(encoded, path, manner)
        pitch, loudness = (cut(x, 2 * begins, 2 * size) for x in (batch.pitch, loudness_of(batch.mel)))
        made = self.voiced(model.text(batch.phones, batch.lengths), path, *curves, voice)
        valid = torch.arange(batch.phones.shape[1], device=made.device) < batch.lengths[:, None]
        far, entropy = duration_loss(presence, found.durations, valid)
        terms = {
            "pitch": Term(F.smooth_l1_loss(curves[0], pitch), weights.pitch),
            "loudness": Term(F.smooth_l1_loss(curves[1], loudness), weights.loudness),
            "durations": Term(far, weights.durations),
            "present": Term(entropy, weights.present),
            **self._diffusion(own.detach(), read, batch.lengths, speaker),
        }
        unseen = None
        if batch.unseen is not None and self.speaks(int(self.turn)):
            unseen = self.said(*batch.unseen, speaker)
        return Made(cut(batch.wave, 2 * begins * self.hop, 2 * size * self.hop), made, terms, unseen)

    def _diffusion(
        self, own: Float[Tensor, "B C"], read: Tensor, lengths: Int[Tensor, " B"], speaker: Float[Tensor, "B C"]
    ) -> dict[str, Term]:
        """Denoised at a drawn time; and how far a style that is drawn for the text is from the recording's."""
        model = self.model
        with torch.no_grad():
            now = own.std(1).mean().clamp(min=_LEAST_SPREAD)
            model.spread.lerp_(now, 1.0 if not int(self.turn) else _FOLLOWED)
        schedule = model.schedule
        time = schedule.draw(len(own)).to(own.device)
        without_text = torch.rand(len(own), device=own.device) < _WITHOUT_TEXT
        noisy = schedule.mix(own, torch.randn_like(own), time)
        clean = model.denoised(noisy, time, read, lengths, speaker, without_text)
        missed = (by_row(schedule.weight(time), own) * (clean - own).square()).mean()
        drawn = self._drawn(read, lengths, speaker)
        return {
            "diffusion": Term(missed, self.weights.diffusion),
            "styles": Term((drawn - own).abs().mean(), self.weights.styles),
        }

    def _drawn(
        self, read: Float[Tensor, "B P D"], lengths: Int[Tensor, " B"], speaker: Float[Tensor, "B C"]
    ) -> Float[Tensor, "B C"]:
        """Styles for texts; the last step of the walk is done with a gradient."""
        model, steps = self.model, self.weights.styles_steps
        seeds = torch.randint(1 << 30, (len(read),)).tolist()
        styles = model.drawn_styles(read.detach(), lengths, speaker, RowNoise(seeds), steps=steps)
        last = model.schedule.grid(steps)[-2:-1].to(read.device).expand(len(read))
        there = model.schedule.mix(styles, torch.randn_like(styles), last)
        return model.denoised(there, last, read, lengths, speaker)

    def said(
        self, phones: Int[Tensor, "B P"], lengths: Int[Tensor, " B"], speaker: Float[Tensor, "B C"]
    ) -> Float[Tensor, "B N"]:
        """A crop of a text in a drawn style, through durations that carry a gradient."""
        model, prosody = self.model, self.model.prosody
        read = model.reader(phones, lengths)
        voice, manner = self._drawn(read, lengths, speaker).chunk(2, dim=1)
        encoded = prosody.encode(read, lengths, manner)
        valid = torch.arange(phones.shape[1], device=phones.device) < lengths[:, None]
        presence = prosody.presence(encoded, lengths).sigmoid() * valid[..., None]
        total = presence.sum((1, 2)).round().long().clamp(min=2)
        begins, size = pieces(2 * total, self.weights.crop)
        path = cut(soft_path(presence, int(total.max())), begins, size)
        return self.voiced(model.text(phones, lengths), path, *prosody.curves(encoded, path, manner), voice)

    def losses(self, phase: str, batch: StyleBatch, out: Made) -> Losses:
        """Of one side; the voice is pulled by the judge of speech as `held_down` lets it."""
        if phase == "judges":
            return self.judging(out)
        if phase == "speech":
            return self._speech(out)
        terms = self.making(out)
        if out.unseen is not None:
            loss = maker_squares([self.speech_judge(self.speech(out.unseen))])
            pulled = {n: p for n, p in self.model.named_parameters() if n.startswith(_PULLED)}
            found = torch.autograd.grad(loss, list(pulled.values()), retain_graph=True, allow_unused=True)
            known = {name: g for name, g in zip(pulled, found, strict=True) if g is not None}
            let = held_down(known, self.weights.threshold, self.weights.held)
            pull = torch.stack([(pulled[name] * g).sum() for name, g in let.items()]).sum()
            terms["pull"] = Term(pull, self.weights.unseen)
            terms["unseen"] = Term(loss.detach(), 0.0)
        return terms

    def _speech(self, out: Made) -> Losses:
        """Real is a recording, or, in half of the steps, the recording made again."""
        if out.unseen is None:
            return {"judge of speech": Term(self.speech_judge.score.weight.sum() * 0)}
        with torch.no_grad():
            real = self.speech(out.real if float(torch.rand(())) < 0.5 else out.made)
            made = self.speech(out.unseen)
        return {"judge of speech": Term(judge_squares([self.speech_judge(real)], [self.speech_judge(made)]))}
