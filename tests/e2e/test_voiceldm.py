"""VoiceLDM in miniature: two conditions, weighed apart; a durator; speech in a scene by `say`."""

from functools import partialmethod
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.sentences import say_sentences, sentence_speaker
from vivavoce.core.errors import TrainingError, VoiceError
from vivavoce.core.voice import Consent, Voice
from vivavoce.data.manifest import recordings
from vivavoce.data.scenes import SpokenScenes
from vivavoce.models.durator import DuratorConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature, voiceldm
from vivavoce.systems.voiceldm import VoiceLdm
from vivavoce.text.tokenizers import PhoneTokenizer

TRUNK = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=50, causal=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("voiceldm")
    return folder / "run", voiceldm.debug(folder)


@pytest.fixture(scope="module")
def speaker(made) -> VoiceLdm:
    return VoiceLdm.load(made[0])


def test_the_noise_is_learnt_and_the_length(made):
    found = made[1]
    assert found["after"] < 0.9 * found["before"] and found["length"] < 0.1, found


def test_both_weights_of_0_are_both_conditions_and_others_the_formula_of_four_passes(speaker):
    phones = PhoneTokenizer().encode(["Hello there."]).data[:, 0]
    x, t = torch.randn(1, *speaker.sound.config.picture()), torch.tensor([0.6])
    model, places, lengths = speaker.model, x.shape[2], torch.tensor([phones.shape[1]])

    def one(words: str, wordless: bool) -> torch.Tensor:
        said = model.said(phones, lengths, torch.tensor([wordless]), places)
        return model.unet(x, t, speaker.sound.contrastive.texts([words]), said.memory, said.seen)

    with torch.no_grad():
        both, described, said, neither = one("rain", False), one("rain", True), one("", False), one("", True)
        plain = speaker.net(phones, "rain", places, (0.0, 0.0))(x, t)
        strong = speaker.net(phones, "rain", places, (9.0, 1.0))(x, t)
    assert torch.allclose(plain, both, atol=1e-5)
    assert torch.allclose(strong, both + 9 * (described - neither) + (said - neither), atol=1e-4)


def test_no_content_is_one_pause_whatever_was_to_be_said(speaker):
    texts = PhoneTokenizer().encode(["Hello there.", "Something else is said."])
    said = speaker.model.said(texts.data[:, 0], texts.lengths, torch.tensor([True, True]), 6)
    pause = speaker.model.durator(PhoneTokenizer().encode(["a"]).data[:, 0, :1], torch.tensor([1]), 6)
    assert torch.allclose(said.memory, pause.memory.expand(2, -1, -1), atol=1e-5)


def test_durations_get_a_gradient_from_what_is_made_and_padding_changes_nothing():
    durator = DuratorConfig(phones=40, trunk=TRUNK, heads=2).build()
    phones = torch.randint(40, (1, 9))
    durator(phones, torch.tensor([9])).memory.square().sum().backward()
    assert durator.duration.bias.grad is not None and float(durator.duration.bias.grad.abs()) > 0
    short = durator(phones[:, :4], torch.tensor([4]), 8)
    padded = durator(phones, torch.tensor([4]), 8)
    assert torch.allclose(short.memory, padded.memory, atol=1e-5)
    assert float(short.places) == pytest.approx(4 * 2.0, rel=1e-4) and short.seen.sum() == 8


def test_each_place_begins_with_the_phone_that_it_lies_in():
    durator = DuratorConfig(phones=40, trunk=TRUNK, heads=1, usual=3.0).build()
    for net in (durator.weigh, durator.place):
        torch.nn.init.zeros_(net[-1].weight)
        torch.nn.init.zeros_(net[-1].bias)
    seen = []
    durator.out.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    phones = torch.arange(5)[None]
    durator(phones, torch.tensor([5]), 15)
    hidden = durator.trunk(durator.embed(phones))
    near = (seen[0][0, :, :16] @ hidden[0].T / hidden[0].norm(dim=1)).argmax(1)
    assert near[[1, 7, 13]].tolist() == [0, 2, 4]


def test_sounds_lie_4_to_20_decibels_below_speech(tmp_path):
    clips = recordings(miniature.recordings(tmp_path, LINES[:1]), "train")
    plain, noised = (SpokenScenes(clips, 8, 20000, 16000, 3, noised=share)(0).wave for share in (0.0, 1.0))
    speech, noise = plain.square().sum(1) / (1.111 * 16000), (noised - plain).square().mean(1)
    ratio = 10 * torch.log10(speech / noise)
    assert bool((ratio > 3.9).all()) and bool((ratio < 20.1).all()) and float(ratio.max() - ratio.min()) > 5
    half = SpokenScenes(clips, 24, 20000, 16000, 3)(1).wave[:, -100:].abs().amax(1)
    assert 5 < int((half > 0).sum()) < 19  # behind the speech there is silence, or the sound
    with pytest.raises(TrainingError, match="cut recordings into sentences"):
        SpokenScenes(clips, 2, 100, 16000, 3)


def test_say_in_a_scene(made, monkeypatch):
    monkeypatch.setattr(VoiceLdm, "make", partialmethod(VoiceLdm.make, steps=2))
    said = [
        say_sentences(sentence_speaker(made[0]), "Hello there.", voice, hear=lambda _: "", scene=scene).wave
        for voice, scene in ((Voice(), "rain"), (Voice(), "rain"), (Voice(), "birds"), (Voice.described("a man"), ""))
    ]
    assert torch.equal(said[0], said[1]) and not torch.equal(said[0], said[2]) and not torch.equal(said[2], said[3])
    assert 0.3 < len(said[0]) / 16000 < 4
    with pytest.raises(VoiceError, match="does not take --like"):
        say_sentences(sentence_speaker(made[0]), "Hello.", Voice.like(b"RIFF", Consent("me")), hear=lambda _: "")
