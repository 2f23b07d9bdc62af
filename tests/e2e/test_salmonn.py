"""SALMONN in miniature: two encoders, a Q-Former over windows, small maps; three stages in order."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.parts import load_part, read_card
from vivavoce.core.streams import sound
from vivavoce.hub.chat_text import ChatText
from vivavoce.recipes.salmonn import SMALL, debug, train
from vivavoce.systems.salmonn import HeardBatch, Salmonn, SalmonnModel, words

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("salmonn")
    found = debug(made)
    assert found["first after"] < 0.7 * found["first before"], found
    for stage in ("", "second "):
        assert found[f"{stage}after"] < found[f"{stage}before"], found
    return made


def parts(folder: Path) -> tuple[SalmonnModel, ChatText, torch.nn.Module, torch.nn.Module]:
    encoders = (load_part(folder / name, "encoder") for name in ("first", "second"))
    return load_part(folder, "salmonn"), ChatText.load(folder), *encoders  # type: ignore[return-value]


def test_only_bridge_and_small_maps_are_learnt_in_every_stage(folder: Path) -> None:
    models = [load_part(folder / stage, "salmonn") for stage in "123"]
    learnt = {name for name, weight in models[0].named_parameters() if weight.requires_grad}
    bridge = ("qformer.", "project.", "first_norm.", "second_norm.")
    assert all(name.startswith(bridge) or ".down." in name or ".up." in name for name in learnt)
    for before, after in pairwise(models):
        for name, weight in after.state_dict().items():
            same = torch.equal(weight, before.state_dict()[name])
            assert same == (name not in learnt) or name.endswith("bias"), name  # biases of keys have no effect
    assert read_card(folder / "3", "salmonn")["stages"]


def test_the_answer_alone_is_learnt_and_what_is_heard_stands_among_the_words() -> None:
    ids, heard, weights = words([[5, 6], [7]], [8, 9], 3)
    assert ids.tolist() == [5, 6, 0, 0, 0, 7, 8, 9] and heard.tolist() == [False] * 2 + [True] * 3 + [False] * 3
    assert weights.tolist() == [0] * 6 + [1, 1]


def test_frames_of_both_stand_side_by_side_in_the_order_of_time(folder: Path) -> None:
    model = load_part(folder / "1", "salmonn")
    config = model.config
    frames = torch.randn(1, config.frames, config.first.dim), torch.randn(1, config.frames, config.second.dim)
    with torch.no_grad():
        whole = model.bridge(*frames)
        assert whole.shape[1] == config.heard
        for kind in (0, 1):
            changed = [frame.clone() for frame in frames]
            changed[kind][:, 3 * 17 : 4 * 17] += torch.randn(frames[kind].shape[2])
            moved = (model.bridge(*changed) - whole).abs().amax(-1)[0]
            assert moved[3] > 1e-4 and moved.sum() == moved[3], "a window is seen by its own vector only"
        ids, heard, weights = words([[5, 6], [7]], [8, 9], config.heard)
        batch = HeardBatch(*frames, ids[None], heard[None], weights[None])
        assert not torch.equal(model(batch)[0, -1], model(replace(batch, first=frames[0].flip(1)))[0, -1])


def test_the_scale_of_the_small_maps_is_chosen_afterwards(folder: Path) -> None:
    model, text, first, second = parts(folder / "2")
    rate = first.wave.sample_rate  # type: ignore[union-attr]
    wave = sound(read_audio(RECORDINGS / "1.ogg", rate)[0], rate)
    answers = {}
    for scale in (None, 4.0, 0.0):
        system = Salmonn(model, text, first, second, scale=scale)  # type: ignore[arg-type]
        answers[scale] = [*system.answer(wave, "Transcribe the speech: …", text.ends, most=12)][-1:]
    assert answers[None] == answers[4.0] != answers[0.0]
    with pytest.raises(SpecError, match=r"hears 3 s at once"):
        next(system.answer(sound(torch.zeros(4 * rate), rate), "?", text.ends))
    with pytest.raises(SpecError, match="was trained on"):
        Salmonn(model, text, second, first)  # type: ignore[arg-type]


def test_a_stage_begins_from_the_one_before(folder: Path, tmp_path: Path) -> None:
    given = folder / "speech", folder / "first", folder / "second", tmp_path
    with pytest.raises(TrainingError, match=r"stage 3 starts from a model of stage 2, the one in .* is of stage 1"):
        train(replace(SMALL, stage=3), *given, start=folder / "1")
    with pytest.raises(TrainingError, match="stage 1 starts from a chat model"):
        train(SMALL, *given, start=folder / "1")
    with pytest.raises(TrainingError, match="stage 3 has nothing to learn from"):
        train(replace(SMALL, stage=3), *given, start=folder / "2")
    swapped = given[0], given[2], given[1], given[3]
    with pytest.raises(TrainingError, match="use its own encoders"):
        train(replace(SMALL, stage=2), *swapped, start=folder / "1")
