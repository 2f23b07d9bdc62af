"""StyleTTS and StyleTTS 2: what makes each of them itself, on nets of a few weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import Stream, Tokens, sound
from vivavoce.generate.diffusion import RowNoise
from vivavoce.losses.adversarial import gradient_penalty
from vivavoce.models.aligner import Aligned
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.speech_features import SpeechFeatures
from vivavoce.models.style_speech import durations_of
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.adain import Film
from vivavoce.nn.harmonics import HarmonicSource
from vivavoce.nn.monotonic import path_of
from vivavoce.nn.soft_durations import soft_path
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.styletts import SMALL
from vivavoce.recipes.styletts2 import SMALL as SMALL2
from vivavoce.recipes.styletts2 import _optimizer
from vivavoce.recipes.styletts_data import StyleBatches
from vivavoce.recipes.vocoder import VocoderRun
from vivavoce.systems.styletts import Styletts, repeated
from vivavoce.systems.styletts2 import Styletts2, Styletts2Model
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train.tasks.styletts import (
    StyleBatch,
    StylettsDraw,
    StylettsPredict,
    chosen,
    stretched,
)
from vivavoce.train.tasks.styletts2 import Styletts2Joint, Styletts2Sound, held_down


def a_batch() -> StyleBatch:
    phones = torch.randint(40, (2, 9))
    return StyleBatch(
        phones, torch.tensor([9, 6]), torch.randn(2, 20, 64) - 5, torch.rand(2, 64), torch.tensor([64, 50]),
        0.1 * torch.randn(2, 64 * 300), torch.randn(2, 20, 64) - 5, unseen=(phones.flip(0), torch.tensor([7, 5])),
    )  # fmt: skip


def gradients(loss: Tensor, module: nn.Module) -> dict[str, Tensor]:
    names = dict(module.named_parameters())
    found = torch.autograd.grad(loss, list(names.values()), retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(names, found, strict=True) if g is not None and bool(g.any())}


# ---- the aligner and the first stage ----


def test_text_is_held_along_soft_attention_in_half_of_the_steps_and_only_that_has_a_gradient() -> None:
    soft, hard = torch.rand(1, 2, 3, requires_grad=True), torch.ones(1, 2, 3)
    found = Aligned(soft, hard, torch.ones(1, 2, dtype=torch.long), soft, soft)
    drawn = [chosen(found, 0.5) is soft for _ in range(200)]
    assert 70 < sum(drawn) < 130
    task = StylettsDraw(SMALL.model.build(), SMALL.judge, replace(SMALL.weights, soft=1.0), crop=40)
    reached = []
    for share in (1.0, 0.0):
        task.weights = replace(SMALL.weights, soft=share)
        out = task.outputs(a_batch())
        reached.append(any(name.startswith("aligner.") for name in gradients(out.made.square().sum(), task.model)))
    assert reached == [True, False]


def test_the_aligner_s_rows_are_shares_and_its_hard_path_covers_every_phone() -> None:
    batch, model = a_batch(), SMALL.model.build().eval()
    found = model.aligner(batch.mel, batch.frames, batch.phones, batch.lengths)
    assert torch.allclose(found.soft[1, :6].sum(1), torch.ones(6)) and not found.soft[1, 6:].any()
    assert not found.soft[1, :, 25:].any()
    assert found.durations.sum(1).tolist() == [32, 25] and (found.durations[0] > 0).all()
    assert (found.hard.sum(1)[1] == (torch.arange(32) < 25)).all()
    with pytest.raises(SpecError, match="9 tokens cannot be held over 4 frames"):
        model.aligner(batch.mel, torch.tensor([8, 50]), batch.phones, batch.lengths)


def test_the_style_reaches_the_decoder_through_norms_alone() -> None:
    model = SMALL.model.build().eval()
    text, pitch, loud = torch.randn(1, 32, 10), torch.rand(1, 20), torch.rand(1, 20)
    styles = torch.randn(2, 1, 8)
    assert not torch.equal(*(model.decoder(text, pitch, loud, style) for style in styles))
    for module in model.decoder.modules():
        if isinstance(module, Film):
            nn.init.zeros_(module.map.weight)
    assert torch.equal(*(model.decoder(text, pitch, loud, style) for style in styles))


def test_the_judge_is_held_by_its_slope_at_what_is_real() -> None:
    real, weight = torch.randn(3, 5, requires_grad=True), torch.randn(5)
    assert torch.allclose(gradient_penalty(real @ weight, real), weight.square().sum() / 2)
    task = StylettsDraw(SMALL.model.build(), SMALL.judge, SMALL.weights, crop=40)
    batch = a_batch()
    terms = task.losses("judges", batch, task.outputs(batch))
    assert terms["penalty"].weight == 1.0
    assert "enter.weight" in gradients(terms["penalty"].value, task.judge)


# ---- prosody ----


def test_what_is_stretched_keeps_its_melody_and_its_phones() -> None:
    durations = torch.tensor([[3, 1, 4], [2, 2, 0]])
    pitch, loud = torch.rand(2, 16), torch.rand(2, 16)
    same = stretched(durations, pitch, loud, 1.0)
    assert torch.equal(same[0], durations) and torch.equal(same[1][0], pitch[0])
    for factor in (0.7, 1.4):
        longer, high, _ = stretched(durations, pitch, loud, factor)
        assert ((longer > 0) == (durations > 0)).all()
        assert high.shape[1] == 2 * int(longer.sum(1).max())
        assert set(high[0].tolist()) <= set(pitch[0].tolist())
        assert not high[1, 2 * int(longer[1].sum()) :].any()


def test_the_second_stage_learns_prosody_alone() -> None:
    task = StylettsPredict(SMALL.model.build(), SMALL.weights, crop=40)
    assert {id(p) for p in task.parameters_of("model")} == {id(p) for p in task.model.prosody.parameters()}
    batch = a_batch()
    out = task.outputs(batch)
    terms = task.losses("model", batch, out)
    reached = gradients(torch.stack([t.value * t.weight for t in terms.values()]).sum(), task.model.prosody)
    assert {name.split(".")[0] for name in reached} >= {"present", "shared", "pitch", "loudness", "memories"}
    assert out.drawn[1].requires_grad is False


def test_durations_are_sums_of_sigmoids_and_at_least_one() -> None:
    logits = torch.full((1, 3, 6), -20.0)
    logits[0, 0, :4] = 20.0
    assert durations_of(logits, torch.tensor([2])).tolist() == [[4, 1, 0]]


def test_the_soft_path_is_the_hard_one_without_blur_and_carries_a_gradient_to_durations() -> None:
    durations = torch.tensor([[2, 1, 5], [3, 4, 0]])
    presence = (torch.arange(6) < durations[..., None]).float()
    assert torch.allclose(soft_path(presence, 8, 0.05), path_of(durations, 8).float(), atol=1e-5)
    logits = torch.randn(1, 4, 6, requires_grad=True)
    path = soft_path(logits.sigmoid(), 12)
    assert torch.allclose(path[0, :, :8].sum(0), torch.ones(8), atol=1e-4)
    (slope,) = torch.autograd.grad((path * torch.arange(12)).sum(), logits)
    assert slope.isfinite().all() and (slope != 0).all()


def test_rows_of_a_batch_are_as_if_alone() -> None:
    model = SMALL.model.build().eval()
    nn.init.normal_(model.prosody.present.weight, std=2.0)  # phones of different lengths
    batch, styles = a_batch(), torch.randn(2, 8)
    mel, frames = model.mel(batch.phones, batch.lengths, styles)
    assert frames[0] != frames[1]
    for row, length in enumerate(batch.lengths.tolist()):
        alone, count = model.mel(
            batch.phones[row : row + 1, :length], batch.lengths[row : row + 1], styles[row : row + 1]
        )
        assert count == frames[row]
        assert torch.allclose(alone, mel[row : row + 1, :, : int(count)], atol=1e-4)
    assert repeated(torch.zeros(0), 5).tolist() == [0.0] * 5 and repeated(torch.arange(2.0), 3).tolist() == [0, 1, 0]


# ---- StyleTTS 2 ----


@pytest.fixture(scope="module")
def speech() -> SpeechFeatures:
    return SpeechFeatures(load_part(BUNDLED, "listener"), 24000)


@pytest.fixture
def joint(speech: SpeechFeatures) -> Styletts2Joint:
    model: Styletts2Model = SMALL2.model.build()
    return Styletts2Joint(model, SMALL2.judges, speech, SMALL2.weights, SMALL2.spectra)


def test_gradients_of_the_speech_judge_are_held_down() -> None:
    given = {
        "prosody.pitch.out.weight": torch.tensor([6.0, 0.0]),
        "prosody.present.weight": torch.tensor([0.0, 8.0]),
        "prosody.lengths_memory.lstm.weight_ih_l0": torch.zeros(2),
        "denoiser.out.weight": torch.tensor([20.0, 0.0]),
        "reader.embed.weight": torch.tensor([5.0, 0.0]),
    }
    let = held_down(given, 5.0, 0.01)  # prosody's are 10 long together
    assert [round(float(g.norm()), 6) for g in let.values()] == [0.6, 0.008, 0.0, 0.02, 0.5]
    let = held_down(given, 11.0, 0.01)
    assert [round(float(g.norm()), 6) for g in let.values()] == [6.0, 0.08, 0.0, 0.2, 5.0]


def test_a_text_that_nobody_read_teaches_durations_through_a_speech_encoder(joint: Styletts2Joint) -> None:
    batch = a_batch()
    out = joint.outputs(batch)
    assert out.unseen is not None
    score = joint.speech_judge(joint.speech(out.unseen)).mean()
    reached = gradients(score, joint.model)
    for name in ("prosody.present.weight", "prosody.pitch.out.weight", "reader.embed.weight", "denoiser.out.weight"):
        assert name in reached, name
    assert not any(p.requires_grad for p in joint.speech.module.parameters())
    terms = joint.losses("voice", batch, out)
    (pull,) = torch.autograd.grad(terms["pull"].value, [joint.model.prosody.present.weight], retain_graph=True)
    longer = float(torch.stack([g.square().sum() for n, g in reached.items() if n.startswith("prosody.")]).sum().sqrt())
    assert pull.any() and float(pull.norm()) < longer


def test_unseen_texts_are_said_in_every_so_many_steps(joint: Styletts2Joint) -> None:
    joint.weights = replace(joint.weights, unseen_every=3, unseen_from=4)
    assert [step for step in range(12) if not joint.skip("speech", step)] == [4, 7, 10]
    joint.after_step(4)  # the next one is step 5
    out = joint.outputs(a_batch())
    assert out.unseen is None and "pull" not in joint.losses("voice", a_batch(), out)


def test_one_style_is_of_the_voice_and_one_of_the_manner(joint: Styletts2Joint) -> None:
    batch, model = a_batch(), joint.model
    out = joint.outputs(batch)
    prosody = gradients(out.terms["present"].value, model)
    assert any(name.startswith("manner.") for name in prosody) and not any(n.startswith("voice.") for n in prosody)
    first = Styletts2Sound(model, SMALL2.judges, joint.speech.module, SMALL2.weights, SMALL2.spectra)
    learnt = {id(p) for p in first.parameters_of("voice")}
    assert {id(p) for p in model.voice.parameters()} <= learnt
    assert not learnt & {id(p) for p in (*model.manner.parameters(), *model.prosody.parameters())}


def test_the_spread_of_styles_is_followed(joint: Styletts2Joint) -> None:
    joint.outputs(a_batch())
    first = float(joint.model.spread)
    assert first != pytest.approx(0.2) and joint.model.schedule.data == pytest.approx(first)
    with torch.no_grad():
        joint.model.voice.out.bias += 10 * torch.randn(8)
    joint.after_step(0)
    joint.outputs(a_batch())
    now = float(joint.model.styles(a_batch().mel).detach().std(1).mean())
    assert first < float(joint.model.spread) < now


def test_the_reader_learns_slowly_in_the_last_stage(joint: Styletts2Joint) -> None:
    groups = _optimizer(SMALL2, joint.model, joint, "voice").param_groups
    assert [group["lr"] for group in groups] == [SMALL2.lr, SMALL2.lr * 0.1]
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in joint.model.reader.parameters()}


def test_drawn_styles_depend_on_the_seed_the_text_and_the_speaker() -> None:
    model: Styletts2Model = SMALL2.model.build().eval()
    phones, lengths = torch.randint(40, (2, 9)), torch.tensor([9, 6])
    read, speaker = model.reader(phones, lengths), torch.randn(2, 16)

    def drawn(seeds: list[int], of: slice = slice(None), guidance: float = 1.0) -> Tensor:
        return model.drawn_styles(read[of], lengths[of], speaker[of], RowNoise(seeds), guidance=guidance)

    together = drawn([3, 4])
    assert torch.allclose(drawn([4], slice(1, 2)), together[1:], atol=1e-5)
    assert torch.equal(drawn([3, 4]), together) and not torch.equal(drawn([3, 5])[1], together[1])
    few = model.drawn_styles(read, lengths, speaker, RowNoise([3, 4]), steps=2)
    assert few.isfinite().all() and together.isfinite().all() and not torch.equal(drawn([3, 4], guidance=2.0), together)


def test_features_of_speech_are_the_listener_s_and_carry_a_gradient(speech: SpeechFeatures) -> None:
    wave = (0.1 * torch.randn(1, 9600)).requires_grad_()
    made = speech(wave)
    assert made.shape[1] == speech.dim
    made.square().mean().backward()
    assert wave.grad is not None and (wave.grad[0, 2400:7200] != 0).float().mean() > 0.9
    listener = speech.encoder
    mel = listener.mel(torch.randn(1, 2560))
    assert torch.allclose(listener.layers(mel)[-1], listener.frames(mel, None, 0)[0], atol=1e-5)


def test_a_published_kind_of_encoder_can_judge_too() -> None:
    trunk = TransformerConfig(dim=16, layers=2, heads=2, kv_heads=2, hidden=32, window=400, causal=False)
    encoder = EncoderConfig(front=WaveFrontConfig(dim=16), trunk=trunk, front_gradient=0.0).build().eval()
    features, wave = SpeechFeatures(encoder, 24000), (0.1 * torch.randn(2, 6000)).requires_grad_()
    made = features(wave)
    assert made.shape[:2] == (2, 48) and features.dim == 48
    made.square().mean().backward()
    assert wave.grad is not None and (wave.grad != 0).float().mean() > 0.8


def test_the_excitation_has_its_pitch_and_is_noise_where_there_is_none() -> None:
    source = HarmonicSource(24000, 300, harmonics=0)
    with torch.no_grad():
        source.mix.weight.fill_(1.0)
        source.mix.bias.zero_()
    hz = torch.full((1, 80), 220.0)
    hz[:, 40:] = 0
    wave = source(hz, torch.randn(1, 24000))[0]
    spectrum = torch.fft.rfft(wave[:12000] * torch.hann_window(12000)).abs()
    assert int(spectrum.argmax()) * 2 == 220
    assert wave[12000:].std() > 5 * 0.003 and wave[12000:].abs().max() < 0.3


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    vocoder = VocoderRun(generator="istftnet", channels=16, strides=(10, 6)).vocoder.build()
    with pytest.raises(SpecError, match=r"the model draws frames of .*bins=20.* the vocoder takes .*bins=80"):
        Styletts(SMALL.model.build(), vocoder)
    model: Styletts2Model = SMALL2.model.build()
    foreign = Tokens(name="phones", alphabet="phones-else", size=40)
    phones = PhoneTokenizer().encode(["hello"])
    with pytest.raises(SpecError, match="phones-else"):
        Styletts2(model).say(Sentence(text="hello", phones=Stream(foreign, phones.data, phones.lengths)))
    with pytest.raises(SpecError, match="8000"):
        Styletts2(model).say(Sentence(text="hello", phones=phones, prompt=sound(torch.zeros(800), 8000)))
    speech = miniature.recordings(tmp_path / "speech", [("1.ogg", "…")])
    with pytest.raises(TrainingError, match="no recordings"):
        StyleBatches(speech, tmp_path, SMALL.model.mel, batch=1, reference=8, seconds=9.0, seed=1, say=lambda _: None)


def test_a_style_comes_from_another_recording_of_the_same_speaker(tmp_path: Path) -> None:
    speech = miniature.recordings(tmp_path / "speech", miniature.LINES[3:5])
    batches = StyleBatches(speech, tmp_path, SMALL.model.mel, batch=2, reference=40, seconds=9.0, seed=1)
    batch = batches(0)
    assert batch.frames.tolist() == [mel // 2 * 2 for mel in batch.frames.tolist()]
    for row in range(2):
        length = int(batch.frames[row])
        other = batch.mel[1 - row, :, : int(batch.frames[1 - row])]
        for mel, near in ((other, True), (batch.mel[row, :, :length], False)):
            windows = mel.unfold(1, 30, 1).permute(1, 0, 2)  # frames before which the crop's front has seen silence
            far = (windows - batch.reference[row, :, 8:38]).abs().amax((1, 2)).min()
            assert (float(far) < 1e-3) == near, (row, near, float(far))
    assert Styletts.takes == Styletts2.takes == frozenset({"clip"})
