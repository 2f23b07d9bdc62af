"""NaturalSpeech 3 in miniature: what is hidden and seen, how factors are written and swapped, and how it is asked."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, SpecError, VoiceError
from vivavoce.core.places import BUNDLED
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import sound
from vivavoce.generate.diffusion import guided
from vivavoce.generate.masked import Unmasking
from vivavoce.models.factors import FACTORS
from vivavoce.models.masked import MaskedLMConfig
from vivavoce.recipes.naturalspeech3 import SAID, SMALL, debug, timed_corpus
from vivavoce.systems.naturalspeech3 import FactoredClip, FactorWriting, Naturalspeech3
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train.tasks.naturalspeech3 import Naturalspeech3Task, PrefixedBatch

pytestmark = pytest.mark.slow
QUICK = FactorWriting(first=Unmasking(steps=2), later=Unmasking(steps=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("naturalspeech3")
    found = debug(made)
    assert found["after"] < 0.8 * found["before"] and found["durations_right"] > 0.3, found
    return made


@pytest.fixture(scope="module")
def system(folder: Path) -> Naturalspeech3:
    return Naturalspeech3.load(folder / "run")


@pytest.fixture(scope="module")
def clips(system: Naturalspeech3) -> tuple[FactoredClip, FactoredClip]:
    def heard(name: str, text: str) -> FactoredClip:
        wave = read_audio(RECORDINGS / name, system.sample_rate)[0]
        return system.hear(sound(wave, system.sample_rate), PhoneTokenizer().encode([text]))

    return heard(*SAID[0]), heard(*SAID[1])


def test_a_clip_is_heard_as_phones_with_frames_and_codes(clips: tuple[FactoredClip, FactoredClip]) -> None:
    for heard, (_, text) in zip(clips, SAID, strict=True):
        wanted = [phone for phone in PhoneTokenizer().encode([text]).data[0, 0].tolist() if phone]
        assert [phone for phone in heard.phones[0].tolist() if phone] == wanted
        assert int(heard.frames.sum()) == heard.codes.shape[2] and heard.codes.shape[1] == 6


def test_times_levels_and_what_is_hidden_are_drawn_as_the_paper_draws_them(system: Naturalspeech3) -> None:
    task = Naturalspeech3Task(system.model)
    rows, frames = 400, 24
    seen: dict[str, tuple[Tensor, ...]] = {}
    for name, module in (("durations", system.model.durations), *system.model.factors.items()):
        module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given}))
    batch = PrefixedBatch(
        torch.randint(1, 40, (rows, 6)), torch.full((rows,), 6), torch.full((rows, 6), 4),
        torch.randint(16, (rows, 6, frames)), torch.full((rows,), frames), torch.randint(0, 3, (rows,)),
    )  # fmt: skip
    torch.manual_seed(4)
    with torch.no_grad():
        out = task.outputs(batch)
    for module in (system.model.durations, *system.model.factors.values()):
        module._forward_pre_hooks.clear()
    levels = torch.bincount(seen["detail"][2], minlength=6) / rows
    assert torch.allclose(levels, torch.tensor([0.0, 0, 0, 3, 2, 1]) / 6, atol=0.07)
    assert abs(float((seen["content"][2] == 1).float().mean()) - 2 / 3) < 0.07
    for name in FACTORS:
        hidden, time = out[name].hidden, seen[name][3]
        before = 4 * batch.prompt
        assert not bool((hidden & (torch.arange(frames) < before[:, None])).any())
        share = hidden.sum(1) / (frames - before)
        assert float(time.min()) > 0 and float(time.max()) <= 1 and abs(float(time.mean()) - 0.5) < 0.06
        assert abs(float((share - (torch.pi / 2 * time).sin()).mean())) < 0.02
        assert torch.equal(out[name].wanted, batch.codes[torch.arange(rows), seen[name][2]])


def test_a_book_is_told_of_earlier_books_of_the_prompt_and_of_what_is_not_hidden(system: Naturalspeech3) -> None:
    model = MaskedLMConfig(trunk=SMALL.trunk, inputs=5, size=16, books=4, first=1).build().eval()
    torch.nn.init.normal_(model.trunk.layers[0].before.adapt.weight)
    codes, inputs, hidden = torch.randint(16, (1, 4, 12)), torch.randn(1, 12, 5), torch.zeros(1, 12, dtype=torch.bool)
    hidden[0, 8:] = True
    for level in (1, 2, 3):
        given = (hidden, torch.tensor([level]), torch.tensor([0.4]), torch.tensor([3]), inputs, torch.tensor([12]))
        with torch.no_grad():
            scores = model(codes, *given)
            for book in range(4):
                for places, told in ((slice(0, 3), True), (slice(3, 8), book <= level), (slice(8, 12), book < level)):
                    changed = codes.clone()
                    changed[:, book, places] = 15 - changed[:, book, places]
                    assert torch.equal(model(changed, *given), scores) != told, (level, book, places)
            assert not torch.equal(model(codes, *given[:2], torch.tensor([0.9]), *given[3:]), scores)


def test_all_is_written_and_a_seed_says_it_again(
    system: Naturalspeech3, clips: tuple[FactoredClip, FactoredClip]
) -> None:
    phones = PhoneTokenizer().encode(["sound"])
    one = system.write(phones, clips[0], writing=QUICK, seed=3)
    assert torch.equal(one, system.write(phones, clips[0], writing=QUICK, seed=3))
    assert one.shape[1] == 6 and one.shape[2] > 0 and int(one.min()) >= 0 and int(one.max()) < 16
    other = system.write(phones, clips[0], writing=QUICK, seed=4)
    assert not torch.equal(one, other)


def test_swapped_prosody_is_that_of_the_other_clip_and_the_rest_is_not(
    system: Naturalspeech3, clips: tuple[FactoredClip, FactoredClip]
) -> None:
    phones = PhoneTokenizer().encode(["sound"])
    first, second = clips
    own = system.write(phones, first, writing=QUICK, seed=3)
    swapped = system.write(phones, second, first, writing=QUICK, seed=3)
    assert torch.equal(swapped[:, 0], own[:, 0])  # pace and prosody are those of the first clip, whoever speaks
    assert not torch.equal(swapped[:, 1:], own[:, 1:])  # content and detail follow the second
    assert torch.equal(system.write(phones, first, first, writing=QUICK, seed=3), own)
    # the voice changes the sound alone
    revoiced = first._replace(voice=second.voice)
    assert torch.equal(system.write(phones, revoiced, writing=QUICK, seed=3), own)
    sounds = [system.speak(phones, who, writing=QUICK, seed=3).data for who in (first, revoiced)]
    assert sounds[0].shape == sounds[1].shape and not torch.equal(*sounds)
    assert torch.equal(sounds[1], system.codec.say(own, second.voice))


def test_guidance_asks_without_the_prompt_too(
    system: Naturalspeech3, clips: tuple[FactoredClip, FactoredClip], monkeypatch: pytest.MonkeyPatch
) -> None:
    phones = PhoneTokenizer().encode(["so"])
    prompts: list[int] = []
    moved: list[tuple[Tensor, Tensor, float]] = []

    def remembered(given: Tensor, free: Tensor, weight: float) -> Tensor:
        moved.append((given, free, weight))
        return guided(given, free, weight)

    monkeypatch.setattr("vivavoce.systems.naturalspeech3.guided", remembered)
    hook = system.model.durations.register_forward_pre_hook(lambda _, given: prompts.append(int(given[4])))
    system.write(phones, clips[0], writing=replace(QUICK, guidance=0.0))
    assert prompts == [clips[0].phones.shape[1]] * 2 and not moved
    prompts.clear()
    system.write(phones, clips[0], writing=replace(QUICK, guidance=2.0))
    hook.remove()
    assert prompts == [clips[0].phones.shape[1], 0] * 2
    for given, free, weight in moved:
        assert weight == 3.0 and given.shape == free.shape and not torch.equal(given, free)  # c + 2 (c - u)


def test_what_does_not_fit_is_refused(system: Naturalspeech3, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="give --like CLIP"):
        system.say(Sentence(text="hello", phones=PhoneTokenizer().encode(["hello"])))
    with pytest.raises(SpecError, match="train facodec"):
        timed_corpus(folder / "speech", BUNDLED, tmp_path, None, print)
    with pytest.raises(ConfigError, match="the factors have"):
        replace(system.model.config, books=(1, 1, 1)).build()
    other = replace(system.codec.config, size=8).build()
    with pytest.raises(SpecError, match="was trained on"):
        Naturalspeech3(system.model, other, system.listener)


def test_the_command_line_speaks_like_a_clip(folder: Path, tmp_path: Path) -> None:
    out, clip = tmp_path / "said.wav", RECORDINGS / "clip.ogg"
    arguments = ["say", "hello", "--speaker", str(folder / "run"), "-o", str(out)]
    like = ["--like", str(clip), "--consent", "made by a synthesis program"]
    done = CliRunner().invoke(app, [*arguments, *like])
    assert done.exit_code == 0, done.output
    assert len(read_audio(out, allow_silent=True)[0]) > 0
    swapped = [*arguments, *like, "--prosody-like", str(RECORDINGS / SAID[1][0])]
    own = out.read_bytes()
    done = CliRunner().invoke(app, swapped)
    assert done.exit_code == 0 and out.read_bytes() != own, done.output
    done = CliRunner().invoke(app, [*arguments, *swapped[-2:]])
    assert done.exit_code == 2 and "consent" in done.output  # nobody agreed
