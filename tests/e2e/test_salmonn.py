"""SALMONN in miniature: two encoders, a Q-Former over windows, small maps; three stages in order."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.whisper import recognisers_of
from vivavoce.audio.files import read_audio
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.parts import load_part, read_card
from vivavoce.core.streams import sound
from vivavoce.data.phrasings import phrased
from vivavoce.evals.listening import Clip
from vivavoce.evals.speech_lm import SpeechLmSuite, words_table
from vivavoce.generate.joint import JointConfig
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.salmonn import load_salmonn
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.whisper import Wanted
from vivavoce.models.bridge import Bridged, SpellingConfig
from vivavoce.nn.lora import LoraLinear
from vivavoce.recipes.bridge import BridgeRun, Shape
from vivavoce.recipes.bridge import train as teach_bridge
from vivavoce.recipes.salmonn import SMALL, debug, train
from vivavoce.systems.salmonn import HeardBatch, Salmonn, SalmonnModel, pieces_of, words

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("salmonn")
    found = debug(made)
    assert found["first after"] < 0.7 * found["first before"], found
    for stage in ("", "second "):
        assert found[f"{stage}after"] < found[f"{stage}before"], found
    return made


def parts(folder: Path) -> tuple[SalmonnModel, ChatText, Any, Any]:
    encoders = (load_part(folder / name, "encoder") for name in ("first", "second"))
    return load_part(folder, "salmonn"), ChatText.load(folder), *encoders


def test_only_bridge_and_small_maps_are_learnt_in_every_stage(folder: Path) -> None:
    models = [load_part(folder / stage, "salmonn") for stage in "123"]
    learnt = {name for name, weight in models[0].named_parameters() if weight.requires_grad}
    assert all(name.startswith("bridge.") or ".down." in name or ".up." in name for name in learnt)
    for before, after in pairwise(models):
        for name, weight in after.state_dict().items():
            same = torch.equal(weight, before.state_dict()[name])
            assert same == (name not in learnt) or name.endswith("bias"), name  # biases of keys have no effect
    assert read_card(folder / "3", "salmonn")["stages"]


def test_the_answer_alone_is_learnt_and_what_is_heard_stands_among_the_words(folder: Path) -> None:
    ids, at, weights = words([[5, 6], [7]], [8, 9])
    assert ids.tolist() == [5, 6, 7, 8, 9] and at == 2 and weights.tolist() == [0] * 3 + [1, 1]
    model = load_part(folder / "1", "salmonn")
    vectors = torch.randn(2, 3, model.config.trunk.dim)
    x = model.mixed(torch.stack((ids, ids)), torch.tensor([2, 2]), Bridged(vectors, torch.tensor([3, 1])))
    said = model.lm.embedded(ids[None, None])[0]
    assert torch.equal(x[0], torch.cat((said[:2], vectors[0], said[2:])))
    assert torch.equal(x[1, :6], torch.cat((said[:2], vectors[1, :1], said[2:])))


def test_frames_of_both_stand_side_by_side_in_the_order_of_time(folder: Path) -> None:
    model = load_part(folder / "1", "salmonn")
    config = model.config
    assert config.bridge.second is not None
    frames = torch.randn(1, config.frames, config.bridge.first.dim), torch.randn(1, config.frames, 48)
    with torch.no_grad():
        whole = model.bridge(*frames).vectors
        assert whole.shape[1] == config.heard
        for kind in (0, 1):
            changed = [frame.clone() for frame in frames]
            changed[kind][:, 3 * 17 : 4 * 17] += torch.randn(frames[kind].shape[2])
            moved = (model.bridge(*changed).vectors - whole).abs().amax(-1)[0]
            assert moved[3] > 1e-4 and moved.sum() == moved[3], "a window is seen by its own vector only"
        ids, at, weights = words([[5, 6], [7]], [8, 9])
        batch = HeardBatch(*frames, ids[None], torch.tensor([at]), weights[None])
        flipped = replace(batch, first=frames[0].flip(1))
        assert not torch.equal(model(batch).scores, model(flipped).scores)


def test_rows_are_written_together_as_each_by_itself(folder: Path) -> None:
    model, text, first, second = parts(folder / "2")
    system = Salmonn(model, text, first, second)
    pieces = pieces_of(text, "Transcribe the speech: …")
    vectors = torch.randn(3, 9, model.config.trunk.dim)
    heard = Bridged(vectors, torch.tensor([9, 4, 1]))
    together = model.write(heard, pieces, text.ends, 12)
    for row, count in enumerate(heard.counts.tolist()):
        alone = Bridged(vectors[row : row + 1, :count], heard.counts[row : row + 1])
        assert model.write(alone, pieces, text.ends, 12) == together[row : row + 1]
    wave = sound(read_audio(RECORDINGS / "1.ogg", 16000)[0], 16000)
    assert len(wave.data[0, 0]) < 3 * 16000 and int(system.heard(wave).counts) == model.config.heard, "it is filled up"
    (answer,) = model.write(system.heard(wave), pieces, text.ends, 12)
    assert [*system.answer(wave, "Transcribe the speech: …", text.ends, most=12)][-1] == text.read(answer)


def test_the_scale_of_the_small_maps_is_chosen_afterwards(folder: Path) -> None:
    model, text, first, second = parts(folder / "2")
    rate = first.wave.sample_rate
    wave = sound(read_audio(RECORDINGS / "1.ogg", rate)[0], rate)
    answers = {}
    for scale in (None, 4.0, 0.0):
        system = Salmonn(model, text, first, second, scale=scale)
        answers[scale] = [*system.answer(wave, "Transcribe the speech: …", text.ends, most=12)][-1:]
    assert answers[None] == answers[4.0] != answers[0.0]
    with pytest.raises(SpecError, match=r"hears 3 s at once"):
        next(system.answer(sound(torch.zeros(4 * rate), rate), "?", text.ends))
    with pytest.raises(SpecError, match="was trained on"):
        Salmonn(model, text, second, first)


def test_a_run_serves_as_ears(folder: Path) -> None:
    ((name, ears),) = recognisers_of(str(folder / "1")).items()
    assert name == "1" and ears is not None and ears.languages == ("en",)
    wave = read_audio(RECORDINGS / "1.ogg", 16000)[0]
    system = load_salmonn(folder / "1")
    asked = phrased("recognise", "…")
    *_, answer = system.answer(sound(wave, 16000), asked, system.text.ends)
    found = ears.transcribe(wave.numpy(), Wanted(clips=((0.0, len(wave) / 16000),))).words
    assert [word.text for word in found] == answer.split()
    edges = [time for word in found for time in (word.start, word.end)]
    assert edges == sorted(edges) and edges[0] == 0 and edges[-1] == pytest.approx(len(wave) / 16000)
    table = words_table(
        system, [Clip("", wave, 16000, "Hello there!", "", True)], SpeechLmSuite(scales=(1.0, 0.0)), str
    )
    assert [row.name[:11] for row in table.rows] == ["word errors", "— small map"]
    assert all(row.value is not None and row.value.n == 1 for row in table.rows)


def test_with_a_bridge_that_spells_nothing_more_has_to_be_learnt(folder: Path, tmp_path: Path) -> None:
    speech, first, llm = folder / "speech", folder / "first", folder / "llm"
    shape = Shape(dim=32, layers=1, spelling=SpellingConfig(pieces=load_text_model(llm).text.tokens.size))
    teach_bridge(BridgeRun(shape=shape, batch=20.0, steps=1), speech, first, llm, tmp_path / "bridge")
    run = replace(SMALL, steps=0, held=1, shown=1, joint=JointConfig(beam=2, near=2.0, most=8))
    measured = train(run, speech, first, None, tmp_path / "run", llm=llm, bridge=tmp_path / "bridge")
    assert measured.before == measured.after
    system = load_salmonn(tmp_path / "run")
    assert system.model.config.joint == run.joint and len(system.model.config.shown) == 1
    wave = sound(read_audio(RECORDINGS / "1.ogg", 16000)[0], 16000)
    heard = [system.heard(wave)] * 2
    one, other = system.transcripts(heard)
    assert one == other == one.lower()
    small = [part for part in system.model.modules() if isinstance(part, LoraLinear)]
    assert small and all(part.scale == system.scale > 0 for part in small), "they count again behind lines of text"
    table = words_table(system, [Clip("", wave.data[0, 0], 16000, "Hello!", "", True)], SpeechLmSuite(scales=()), str)
    assert [row.name for row in table.rows][-1] == "word errors, written jointly"


def test_a_stage_begins_from_the_one_before(folder: Path, tmp_path: Path) -> None:
    given = folder / "speech", folder / "first", folder / "second", tmp_path
    with pytest.raises(TrainingError, match=r"stage 3 starts from a model of stage 2, the one in .* is of stage 1"):
        train(replace(SMALL, stage=3), *given, start=folder / "1")
    with pytest.raises(TrainingError, match="stage 1 starts from a chat model"):
        train(SMALL, *given)
    with pytest.raises(TrainingError, match="goes on from a model of stage 1"):
        train(SMALL, *given, start=folder / "2")
    with pytest.raises(TrainingError, match="stage 3 has nothing to learn from"):
        train(replace(SMALL, stage=3), *given, start=folder / "2")
    swapped = given[0], given[2], given[1], given[3]
    with pytest.raises(TrainingError, match="use its own encoders"):
        train(replace(SMALL, stage=2), *swapped, start=folder / "1")
