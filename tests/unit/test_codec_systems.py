"""What the papers' codecs are faithful to: which gradients reach what, which books train, what some books say."""

import importlib
import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.streams import whole
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record
from vivavoce.hub import codecs
from vivavoce.hub import speechtokenizer as hub
from vivavoce.hub.adapter import normalised, published
from vivavoce.losses.vq import distillation_over_time
from vivavoce.models.codec import Codec
from vivavoce.nn.reversal import reversed_gradient
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.codec_data import CropConfig, Crops
from vivavoce.recipes.codec_teacher import at_rate
from vivavoce.recipes.facodec import Labelling
from vivavoce.systems.encodec import encodec
from vivavoce.systems.facodec import Facodec, FacodecConfig
from vivavoce.systems.mimi import mimi
from vivavoce.systems.soundstream import soundstream
from vivavoce.systems.speechtokenizer import decode_range, speechtokenizer
from vivavoce.train.tasks.codec import Labels, SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights
from vivavoce.train.tasks.facodec import FacodecPass

TRUNK = TransformerConfig(dim=8, layers=1, heads=2, kv_heads=2, hidden=16, window=64, causal=False, norm="layer")
FACODEC = FacodecConfig(
    net=SeanetConfig(
        dim=8, channels=2, strides=(2, 5), residuals=1, compress=1, activation="snake", causal=False, trim="both"
    ),
    timbre=TRUNK, size=16, code_dim=4, phones=5, speakers=3,
)  # fmt: skip


def gradient(part: torch.nn.Module) -> float:
    return sum(float(p.grad.abs().sum()) for p in part.parameters() if p.grad is not None)


def facodec(**changes: object) -> tuple[Facodec, Tensor]:
    torch.manual_seed(0)
    return replace(FACODEC, **changes).build(), 0.3 * torch.randn(4, 1, 200)


def test_prosody_and_content_of_facodec_learn_nothing_from_the_sound():
    model, wave = facodec(detail_dropout=0.0)
    model(wave).wave.square().sum().backward()
    assert gradient(model.prosody) == 0 and gradient(model.content) == 0
    assert min(gradient(model.detail), gradient(model.voice), gradient(model.front), gradient(model.back)) > 0


def test_vectors_of_facodec_begin_to_vary_with_the_sound_and_books_tell_them_apart():
    model, wave = facodec()
    model = model.eval()

    def used() -> int:
        return min(len(book.unique()) for book in model.codes_of(wave)[0].transpose(0, 1))

    model.start(wave)
    vectors = model.front(wave).detach()
    frames = vectors.shape[0] * vectors.shape[2]
    assert used() > min(model.config.size, frames) / 3 and 0.8 < float(vectors.std()) < 1.2
    loud = torch.autograd.grad(model.front(wave).square().mean(), list(model.front.parameters()), allow_unused=True)
    assert max(float(one.abs().max()) for one in loud if one is not None) < 10, "no layer is far quieter than the next"
    apart = (vectors - vectors.mean((0, 2), keepdim=True)).square().mean()
    assert float(apart) > 0.3, "they vary with the sound"
    for books in (model.prosody, model.content):
        assert (vectors - books(vectors).values.detach()).square().mean() < 0.85 * apart


def test_heads_of_facodec_learn_first_and_then_its_books_begin():
    model, wave = facodec(one_length=True, one_size=True, detail_dropout=0.0)
    model.start(wave)
    model.begun.fill_(0)
    passes, weights = FacodecPass(heads_first=2), AdversarialWeights()
    frames = model(wave).decoded.shape[2]
    labels = Labels(
        torch.zeros(4, frames), torch.ones(4, frames), torch.ones(4, frames, dtype=torch.long),
        torch.zeros(4, dtype=torch.long), None,
    )  # fmt: skip
    batch = SoundBatch(wave[:, 0], torch.full((4,), 80), torch.full((4,), 8000.0), 1.0, labels=labels)
    first = passes(model, batch, weights)
    assert first.made is None and float(first.commitment) == 0
    assert set(first.beside) == {"pitch", "phones", "speaker"}
    x = model.vectors(wave)
    assert not torch.equal(model.content(x, bare=True).values, model.content(x).values)
    passes.after(model, 0)
    assert not model.begun
    known = {name: value.clone() for name, value in model.content.state_dict().items()}
    passes.after(model, 1)
    assert model.begun
    changed = {name for name, value in model.content.state_dict().items() if not torch.equal(value, known[name])}
    assert changed == {"entries"}, "what the projections have learnt stays"
    gap = (model.content(x).values - model.content(x, bare=True).values).square().mean()
    assert gap < 0.3 * model.content(x, bare=True).values.var(), "entries are among what the projections make"
    then = passes(model, batch, weights)
    assert then.made is not None and then.made.shape == wave[:, 0].shape and float(then.commitment) > 0
    assert {"hidden_pitch", "hidden_phones", "hidden_speaker"} < set(then.beside)


def test_three_of_four_examples_of_facodec_go_without_detail():
    model, wave = facodec()
    out = model(wave[:1].expand(200, -1, -1))
    known = out.prosody.values + out.content.values
    without = [bool(torch.allclose(a, b, atol=1e-6)) for a, b in zip(out.decoded, known, strict=True)]
    assert 0.65 < sum(without) / 200 < 0.85
    assert not torch.allclose(model.eval()(wave).decoded, known[:1].expand(4, -1, -1), atol=1e-6)


def test_reversed_gradients_of_facodec_have_the_other_sign():
    x = torch.randn(3, requires_grad=True)
    (reversed_gradient(x, 2.0) * torch.arange(3.0)).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.tensor([0.0, -2.0, -4.0]))
    model, wave = facodec(detail_dropout=0.0)
    heads = model.heads(model(wave))
    hidden = [*heads.hidden_pitch, *heads.hidden_phones, heads.hidden_speaker]
    assert all(head is not None for head in hidden) and heads.speaker is not None
    for head, books in ((heads.pitch, model.prosody), (heads.phones, model.content)):
        model.zero_grad()
        head.square().sum().backward(retain_graph=True)
        assert gradient(books) > 0 and gradient(model.detail) == 0


def test_the_voice_of_facodec_is_of_the_whole_recording_and_codes_are_of_the_crop():
    model, wave = facodec(detail_dropout=0.0)
    other = 0.3 * torch.randn(4, 1, 600)
    with torch.no_grad():
        crop, both, whole = model.eval()(wave), model(wave, None, other), model(other)
        assert torch.equal(both.timbre, whole.timbre) and not torch.allclose(both.timbre, crop.timbre)
        for factor in ("prosody", "content", "detail"):
            assert torch.equal(getattr(both, factor).codes, getattr(crop, factor).codes)


def test_every_leak_of_facodec_is_taught_against():
    """A hidden head learns to read what must not be there, and what it reads from gets the opposite of that."""
    model, wave = facodec(detail_dropout=0.0)
    heads = model.heads(model(wave))
    leaks = {
        ("content_pitch", "content"): heads.hidden_pitch[0],
        ("detail_pitch", "detail"): heads.hidden_pitch[1],
        ("prosody_phones", "prosody"): heads.hidden_phones[0],
        ("detail_phones", "detail"): heads.hidden_phones[1],
    }
    assert heads.hidden_speaker is not None
    for (name, factor), found in leaks.items():
        values = getattr(model(wave), factor).values.detach().requires_grad_()
        (straight,) = torch.autograd.grad(model.hidden[name](values).square().sum(), values)
        (turned,) = torch.autograd.grad(model.hidden[name](reversed_gradient(values)).square().sum(), values)
        assert torch.allclose(turned, -straight) and straight.any()
        model.zero_grad()
        found.square().sum().backward(retain_graph=True)
        touched = {part for part in ("prosody", "content", "detail") if gradient(getattr(model, part)) > 0}
        assert touched == {factor} and gradient(model.hidden[name]) > 0
    model.zero_grad()
    heads.hidden_speaker.square().sum().backward()
    assert min(gradient(part) for part in (model.prosody, model.content, model.detail)) > 0
    weaker, _ = facodec(detail_dropout=0.0, hidden=0.25)
    weaker.load_state_dict(model.state_dict())
    found = {}
    for name, one in (("whole", model), ("weaker", weaker)):
        one.zero_grad()
        one.heads(one(wave)).hidden_phones[0].square().sum().backward()
        found[name] = gradient(one.prosody), gradient(one.hidden["prosody_phones"])
    assert found["weaker"][0] == pytest.approx(0.25 * found["whole"][0], rel=1e-4)
    assert found["weaker"][1] == pytest.approx(found["whole"][1], rel=1e-4), "the head learns as before"


def test_labels_of_facodec_are_those_of_the_frames_of_a_crop(tmp_path: Path):
    frames = [120, 30]

    def known_of(count: int) -> dict[str, np.ndarray]:
        places = np.arange(count)
        return {
            "height": places.astype(np.float32), "voiced": np.ones(count, np.float32), "phones": places.astype(np.int16)
        }  # fmt: skip

    labels = Cache.of(tmp_path / "labels", {}, [], lambda: map(known_of, frames))
    sound = Cache.of(
        tmp_path / "sound", {}, [], lambda: ({"wave": np.full(n * 200, n, dtype=np.int16)} for n in frames)
    )
    about = {"split": "train", "licence": "CC0", "seconds": 1.0, "sample_rate": 16_000}
    clips = [Record(id=name, path=f"{name}.wav", speaker=name, **about) for name in "ab"]
    known = Labelling(labels, sound, clips, frames=80, samples=16_000)([(0, 25), (1, 10)])
    assert float(FacodecConfig().rate) == 80
    assert torch.equal(known.phones[0], torch.arange(25, 105)) and torch.equal(
        known.height[0], torch.arange(25.0, 105.0)
    )
    assert torch.equal(known.phones[1], torch.cat((torch.arange(10, 30), torch.full((60,), -1))))
    assert not known.voiced[1, 20:].any() and known.speakers.tolist() == [0, 1]
    assert (
        known.whole.shape == (2, 1, 16_000) and (known.whole[1] == 30 / 32_768).all()
    )  # from where it begins, on and on


def test_a_teachers_frames_are_cut_with_the_sound_and_end_with_it(tmp_path: Path):
    codec = speechtokenizer(channels=2, dim=8, strides=(4, 5, 16), books=2, size=16)
    assert (codec.hop, float(codec.rate)) == (320, 50)
    frames = [90, 20]
    sound = Cache.of(
        tmp_path / "sound", {}, [],
        lambda: ({"wave": np.repeat(np.arange(1, n + 1, dtype=np.int16), 320)} for n in frames),
    )  # fmt: skip
    teacher = Cache.of(
        tmp_path / "teacher", {}, [],
        lambda: ({"features": np.arange(1, n, dtype=np.float16)[:, None].repeat(3, 1)} for n in frames),
    )  # fmt: skip
    about = {"split": "train", "licence": "CC0", "speaker": "x", "sample_rate": 16_000}
    clips = [Record(id=str(n), path=f"{n}.wav", seconds=n / 50, **about) for n in frames]
    config = CropConfig(batch=4, frames=40, played_otherwise=0.0, gains_db=(0.0, 0.0), narrowed=0.0)
    crops = Crops(config, codec, clips, sound, teacher)
    short = 0
    for step in range(10):
        one = crops(step)
        assert one.teacher is not None and one.teacher_known is not None
        heard = (one.wave[:, ::320] * 32768).round()
        assert torch.equal(heard[one.teacher_known], one.teacher[:, 0][one.teacher_known])
        short += int((one.teacher_known.sum(1) == 19).sum())  # a frame fewer than the sound has: cut, not stretched
    assert short > 0
    features = torch.arange(12.0)[:, None]
    assert at_rate(features, Fraction(50), Fraction(50)) is features
    assert torch.equal(at_rate(features, Fraction(50), Fraction(25, 2))[:, 0], torch.tensor([1.5, 5.5, 9.5]))


@pytest.mark.parametrize(
    ("config", "rate", "hop", "kbits", "millions"),
    [
        (soundstream(), 75, 320, 6.0, None),
        (encodec(), 75, 320, 24.0, 14.85),
        (speechtokenizer(), 50, 320, 4.0, 103.7),
        (mimi(), 12.5, 1920, 4.4, 79.3),
        (FacodecConfig(), 80, 200, 4.8, None),
    ],
)
def test_numbers_of_the_codecs(config: Any, rate: float, hop: int, kbits: float, millions: float | None):
    """Rates, bits, and as many weights as transformers' EnCodec and Mimi have (SpeechTokenizer: about the paper's)."""
    books = sum(config.books) if isinstance(config, FacodecConfig) else config.books
    assert (float(config.rate), config.hop) == (rate, hop)
    assert float(config.rate) * books * math.log2(config.size) / 1000 == pytest.approx(kbits)
    if millions is not None:
        with torch.device("meta"):
            weights = sum(weight.numel() for weight in config.build().parameters())
        assert weights / 1e6 == pytest.approx(millions, abs=0.05)


def test_bandwidths_of_encodec_and_what_each_term_of_a_recipe_counts():
    assert [75 * books * 10 / 1000 for books in encodec().quantizer.choices] == [1.5, 3, 6, 12, 24]
    counts = {name: importlib.import_module(f"vivavoce.recipes.{name}").RECIPE.settings for name in RECIPES}
    for name, (weights, judges) in RECIPES.items():
        settings = counts[name]
        told = settings.weights
        assert (told.wave, told.mel, told.adversarial, told.features, told.commitment) == weights, name
        assert (len(settings.judges.windows), len(settings.judges.periods), settings.judges.scales) == judges, name
        assert told.balanced == (name in ("encodec", "mimi")), name
        assert told.game == ("squares" if name == "speechtokenizer" else "hinge"), name
    assert counts["encodec"].weights.judged == pytest.approx(2 / 3) and counts["speechtokenizer"].weights.teacher == 120
    assert counts["speechtokenizer"].weights.over_time and not counts["mimi"].weights.over_time


RECIPES = {
    "soundstream": ((0.0, 1.0, 1.0, 100.0, 1.0), (1, 0, 3)),
    "encodec": ((0.1, 1.0, 3.0, 3.0, 1.0), (5, 0, 0)),
    "speechtokenizer": ((500.0, 4.5, 1.0, 2.0, 10.0), (3, 5, 3)),
    "mimi": ((0.1, 2.0, 4.0, 4.0, 1.0), (5, 0, 0)),
}
"""Weights of wave, mel, judges, their features and commitment; judges of spectra, periods and scales."""


def test_numbers_of_mimi():
    config = mimi()
    assert (float(config.rate), config.hop, config.books) == (12.5, 1920, 32)
    assert config.quantizer.semantic.unquantised == config.quantizer.acoustic.unquantised == 0.5
    assert config.quantizer.semantic.books == 1 and config.quantizer.acoustic.fewer_books == 1.0
    assert config.front.trunk is not None and config.front.trunk.window == 250
    small = mimi(
        net=SeanetConfig(dim=8, channels=2, strides=(4, 5)), trunk=replace(TRUNK, causal=True, window=9), books=4,
        size=16, code_dim=4,
    ).build().eval()  # fmt: skip
    small.quantizer.start(torch.randn(4, 8, 32))
    assert small.timing.latency_ms == pytest.approx(1000 * small.config.hop / 24_000)
    codes = small.encode(whole(small.config.wave, 0.3 * torch.randn(1, 1, 800)))
    made = [small.decode(codes.part(0, books)).data for books in (1, 2, 4)]
    assert all(one.shape == made[0].shape for one in made) and not torch.allclose(made[0], made[1])


def test_facodec_says_codes_in_any_voice():
    model, wave = facodec()
    codes, voice = model.eval().codes_of(wave)
    assert codes.shape == (4, 6, 20) and voice.shape == (4, 8)
    with torch.no_grad():
        assert torch.allclose(model.say(codes, voice), model(wave).wave, atol=1e-5)
        model.scale_shift.weight.normal_()
        assert not torch.allclose(model.say(codes, voice.flip(0)), model.say(codes, voice))
    with pytest.raises(SpecError, match="6"):
        model.say(codes[:, :2], voice)
    with pytest.raises(SpecError, match="multiple of 10"):
        model.codes_of(wave[:, :, :5])


def test_the_second_facodec_takes_prosody_from_mel_alone():
    model, wave = facodec(prosody_bins=4)
    mel = torch.randn(4, 6, 20)
    with torch.no_grad():
        first, other = model.eval()(wave, mel).prosody.codes, model(wave.flip(0), mel).prosody.codes
        assert torch.equal(first, other)
    with pytest.raises(SpecError, match="mel frames"):
        model(wave)
    with pytest.raises(ConfigError, match="both ways"):
        replace(FACODEC, net=SeanetConfig(dim=8)).build()


def test_the_teacher_of_speechtokenizer_reaches_the_first_book_alone():
    torch.manual_seed(0)
    codec = speechtokenizer(channels=2, dim=8, strides=(2, 5), books=3, size=16, teacher_dim=5, dead_below=0.0).build()
    wave = 0.3 * torch.randn(2, 400)
    codec.quantizer.start(codec.front(wave[:, None]).detach())
    teacher, known = torch.randn(2, 5, 40), torch.ones(2, 40, dtype=torch.bool)
    codec.eval()
    out = codec(wave)
    assert out.meaning is not None
    before = distillation_over_time(out.meaning, teacher, known)
    with torch.no_grad():
        codec.quantizer.entries[1:] += 1.0
        later = codec(wave)
        assert later.meaning is not None
        assert torch.equal(distillation_over_time(later.meaning, teacher, known), before)
        assert not torch.allclose(later.wave, out.wave)
    first = codec.quantizer.entries[0][out.quantized.codes[:, 0]]
    assert torch.allclose(out.quantized.meaning.transpose(1, 2), first, atol=1e-6)
    before.backward()
    assert gradient(codec.front) > 0 and gradient(codec.back) == 0


def test_distillation_goes_along_the_time_of_each_feature():
    made, mask = torch.randn(2, 3, 20), torch.ones(2, 20, dtype=torch.bool)
    scaled = made * torch.tensor([1.0, 5.0, 0.1])[None, :, None]  # no matter to a cosine over time
    least = -torch.nn.functional.logsigmoid(torch.ones(()))
    assert torch.allclose(distillation_over_time(made, scaled, mask), least, atol=1e-5)
    mask[:, 10:] = False
    changed = made.clone()
    changed[:, :, 10:] = 100.0
    assert torch.allclose(distillation_over_time(made, changed, mask), least, atol=1e-5)


def test_any_range_of_speechtokenizers_books_is_decoded():
    torch.manual_seed(0)
    codec = speechtokenizer(channels=2, dim=8, strides=(2, 5), books=3, size=16).build().eval()
    wave = 0.3 * torch.randn(1, 1, 400)
    codec.quantizer.start(codec.front(wave).detach())
    codes = codec.encode(whole(codec.config.wave, wave))
    assert not codec.streams
    assert torch.allclose(decode_range(codec, codes).data, codec.decode(codes).data, atol=1e-5)
    made = [decode_range(codec, codes.part(first, books)).data for first, books in ((0, 1), (1, 2), (2, 1))]
    assert all(one.shape == wave.shape for one in made) and not torch.allclose(made[1], made[2])
    with pytest.raises(SpecError, match="wanted books of"):
        decode_range(encodec(channels=2, dim=8, strides=(2, 5), books=3, size=16, choices=()).build(), codes)


@pytest.mark.parametrize("activation", ["ELU", "Snake"])
def test_a_speechtokenizer_under_its_published_names_is_read(tmp_path: Path, activation: str):
    given = {
        "n_filters": 2, "dimension": 8, "strides": [5, 2], "lstm_layers": 2, "bidirectional": True, "dilation_base": 2,
        "residual_kernel_size": 3, "n_residual_layers": 1, "activation": activation, "sample_rate": 16000, "n_q": 3,
        "codebook_size": 16, "semantic_dimension": 5,
    }  # fmt: skip
    codec = hub.config_of(given).build().eval()
    codec.quantizer.start(0.05 * torch.randn(1, 8, 64))
    state = published(codec, hub.rules(codec.config))
    names = {re.sub(r"\d+", "n", name) for name in state if not name.endswith("bias")}
    wanted = {
        "encoder.model.n.conv.conv.weight", "encoder.model.n.block.n.conv.conv.weight", "transform.weight",
        "encoder.model.n.shortcut.conv.conv.weight", "decoder.model.n.conv.conv.weight",
        "decoder.model.n.convtr.convtr.weight", "decoder.model.n.block.n.conv.conv.weight",
        "decoder.model.n.shortcut.conv.conv.weight", "quantizer.vq.layers.n._codebook.embed",
        *(f"{half}.model.n.lstm.{kind}_ln" for half in ("encoder", "decoder")
          for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
        *(f"encoder.model.n.lstm.{kind}_ln_reverse" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")),
    }  # fmt: skip
    if activation == "Snake":
        wanted |= {f"{half}.model.n.{place}alpha" for half in ("encoder", "decoder") for place in ("", "block.n.")}
        state = {name: value[None, :, None] if name.endswith("alpha") else value for name, value in state.items()}
    assert names | {name for name in wanted if "bias_" in name} == wanted
    layers = [name.removesuffix(".weight") for name in state if re.search(r"(conv|convtr)\.weight$", name)]
    state = normalised(state, layers)
    state |= {f"quantizer.vq.layers.{book}._codebook.inited": torch.ones(1) for book in range(3)}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(given))
    again = codecs.load(tmp_path)
    assert isinstance(again, Codec) and again.config == codec.config
    wave = whole(codec.config.wave, 0.3 * torch.randn(1, 1, 400))
    codes = codec.encode(wave)
    assert torch.equal(again.encode(wave).data, codes.data)
    assert torch.allclose(again.back(again.quantizer.decode(codes.data)), codec.decode(codes).data, atol=1e-5)
    with pytest.raises(PartError, match="memory both ways"):
        codecs.codec_of(given | {"bidirectional": False}, state)
    with pytest.raises(PartError, match="nothing is known of"):
        codecs.codec_of(given, state | {"encoder.extra": torch.ones(1)})


def test_more_books_of_soundstream_bring_the_vectors_closer():
    torch.manual_seed(0)
    codec = soundstream(channels=2, dim=8, strides=(2, 5), books=4, size=16).build().eval()
    latents = codec.front(0.5 * torch.randn(4, 1, 400)).detach()
    codec.quantizer.start(latents)
    codes = codec.quantizer.encode(latents)
    errors = [float((codec.quantizer.decode(codes[:, :n]) - latents).square().mean()) for n in (1, 2, 3, 4)]
    assert errors == sorted(errors, reverse=True) and errors[3] < 0.7 * errors[0]


def test_every_example_of_soundstream_and_every_batch_of_encodec_draws_its_number_of_books():
    torch.manual_seed(0)
    for config, per_example in (
        (soundstream(channels=2, dim=8, strides=(2, 5), books=4, size=16, dead_below=0.0).quantizer, True),
        (encodec(dim=8, books=4, size=16, choices=(1, 4), dead_below=0.0).quantizer, False),
    ):
        quantizer = config.build().train()
        x = torch.randn(16, 8, 30)
        quantizer.start(x)
        seen = []
        for _ in range(8):
            entries = quantizer.entries.clone()
            made = quantizer(x)
            sums, found = torch.zeros_like(made.values), []
            for book in range(4):
                sums = sums + entries[book][made.codes[:, book]].transpose(1, 2)
                found.append((sums - made.values).abs().amax((1, 2)) < 1e-4)
            seen.append(torch.stack(found).float().argmax(0) + 1)
        drawn = torch.stack(seen)
        assert {int(n) for n in drawn.unique()} == ({1, 2, 3, 4} if per_example else {1, 4})
        assert bool((drawn == drawn[:, :1]).all()) != per_example
