"""AudioPaLM in miniature: single and combined tasks by their tags, and text that is not forgotten."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.whisper import recognisers_of
from vivavoce.audio.files import read_audio
from vivavoce.audio.resample import resample
from vivavoce.core.errors import ConfigError, SpecError, TrainingError
from vivavoce.core.layout import read
from vivavoce.core.parts import load_part, read_card
from vivavoce.core.streams import Stream, sound
from vivavoce.data.tokens import TokenCorpus
from vivavoce.evals.spoken_orders import audiopalm_table
from vivavoce.hub.audiopalm import AudioPaLMRecogniser
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.whisper import Wanted
from vivavoce.recipes.audiopalm import SAID, SMALL, _Examples, debug, shares, train
from vivavoce.recipes.token_lm import FreshTrunk
from vivavoce.systems.audiopalm import AudioPaLM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audiopalm")
    found = debug(made)
    assert found["after"] < 0.5 * found["before"] and found["text after"] < found["text before"], found
    return made


@pytest.fixture(scope="module")
def system(folder: Path) -> AudioPaLM:
    run = folder / "run"
    return AudioPaLM(load_part(run, "audiopalm"), ChatText.load(run), load_part(run, "units"))


def test_a_combined_task_has_what_lies_between_written_first_and_targets_are_learnt_only(
    folder: Path, system: AudioPaLM
) -> None:
    tokens, config = TokenCorpus(folder / "corpus"), system.model.config
    grid = _Examples(SMALL, tokens, config, system.text).grid("ASR S2T S2S", (0, 1))
    found = read(config.layout(("ASR", "S2T", "S2S")), grid.ids)
    texts = {name: system.text.read(found[name][0].tolist()) for name in ("tag", "ASR", "S2T")}
    asked, answered = tokens.utterances[0].text, tokens.utterances[1].text
    assert list(found) == ["tag", "source", "ASR", "S2T", "S2S"]
    assert texts == {"tag": "[ASR S2T S2S English]", "ASR": asked, "S2T": answered}
    assert torch.equal(found["source"], tokens.items(0)["units"]) and torch.equal(
        found["S2S"], tokens.items(1)["units"]
    )
    begin = found["tag"].shape[1] + found["source"].shape[1] + 2
    assert not grid.target[0, : begin + 1].any() and grid.target[0, begin + 1 :].all()


def test_tasks_are_done_from_sound_and_from_text(system: AudioPaLM) -> None:
    rate = system.units.config.sample_rate
    wave = sound(read_audio(RECORDINGS / "1.ogg", rate)[0], rate)
    done = system.do(("ASR", "S2T"), wave, most=60)
    assert list(done) == ["ASR", "S2T"] and all(isinstance(text, str) for text in done.values())
    (said,) = system.do(("TTS",), "Hello there!", most=60).values()
    assert isinstance(said, Stream) and said.spec == system.units.tokens
    with pytest.raises(SpecError, match="has no acoustic model"):
        system.sound(said)


def test_it_hears_for_anybody_who_asks_by_folder(folder: Path, system: AudioPaLM) -> None:
    ((name, ears),) = recognisers_of(str(folder / "run")).items()
    assert name == "run" and isinstance(ears, AudioPaLMRecogniser)
    wave = read_audio(RECORDINGS / "1.ogg", 16_000)[0].numpy()
    heard = ears.transcribe(wave, Wanted(clips=((0.5, 2.0),)))
    rate = system.units.config.sample_rate
    said = system.do(("ASR",), sound(resample(torch.from_numpy(wave[8000:32_000]), 16_000, rate), rate), most=200)
    assert " ".join(word.text for word in heard.words) == " ".join(str(said["ASR"]).split())
    end = min(2.0, len(wave) / 16_000)
    assert not heard.words or (heard.words[0].start == 0.5 and abs(heard.words[-1].end - end) < 1e-4)


def test_languages_and_tasks_that_are_not_known_are_refused(system: AudioPaLM) -> None:
    config = system.model.config
    with pytest.raises(SpecError, match="was not taught 'Klingon'; its languages are English"):
        system.do(("ASR",), "", ("Klingon",))
    for tasks, languages, error in (
        (("SING",), ("English",), "there is no task 'SING'"),
        (("ASR", "TTS"), ("English",), "cannot be combined"),
        (("AST",), ("English",), "name 2 languages, got 1"),
    ):
        with pytest.raises(SpecError, match=error):
            config.tag(tasks, languages)
    with pytest.raises(SpecError, match="reads units, got str"):
        system.do(("ASR",), "text")
    assert replace(config, languages=("French", "English")).tag(("ASR", "AST"), ("French", "English")) == (
        "[ASR AST French English]"
    )


def test_shares_are_capped_and_weighted(folder: Path, tmp_path: Path) -> None:
    found = shares({"ASR": 1000, "TTS": 10, "text": 50}, {"text": 2.0}, 100)
    assert found == pytest.approx({"ASR": 100 / 210, "TTS": 10 / 210, "text": 100 / 210})
    with pytest.raises(ConfigError, match="no task has examples"):
        shares({"ASR": 0}, {}, 10)
    with pytest.raises(TrainingError, match="needs questions and answers"):
        train(SMALL, folder / "corpus", folder / "units", folder / "llm", tmp_path)
    for weight in ("SING=1", "ASR=x", "ASR=-1"):
        with pytest.raises(ConfigError, match="weight"):
            run = replace(SMALL, tasks=("ASR",), weights=(weight,))
            train(run, folder / "corpus", folder / "units", folder / "llm", tmp_path)


def test_the_card_says_what_became_of_text(folder: Path) -> None:
    held = read_card(folder / "run", "audiopalm")["held_out"]
    assert held["before"]["text"] > 0 and held["after"]["text"] > 0


def test_many_recordings_are_done_as_one_is(system: AudioPaLM) -> None:
    rate = system.units.config.sample_rate
    sounds = [sound(read_audio(RECORDINGS / name, rate)[0], rate) for name, _ in SAID]
    for tasks in (["ASR"], ["ASR", "S2T"]):
        found = system.many(tasks, sounds, most=100)
        for place, wave in enumerate(sounds):
            assert [texts[place] for texts in found] == [system.do(tasks, wave, most=100)[task] for task in tasks]
    with pytest.raises(SpecError, match="for tasks that write text"):
        system.many(["S2S"], sounds)


def test_orders_are_counted_at_once_and_after_writing_them_down(system: AudioPaLM) -> None:
    table = audiopalm_table(system, 4, None, lambda _: None)
    assert [row.name for row in table.rows] == [
        "every slot right, written down from units", "— of another order", "every slot named, answered at once",
        "— after writing the question down",
    ]  # fmt: skip
    assert all(row.value is not None and row.value.value == 0.0 for row in table.rows), "it never heard an order"


def test_a_trunk_can_be_fresh(folder: Path, tmp_path: Path) -> None:
    run = replace(SMALL, fresh=FreshTrunk(dim=64, layers=1, heads=2), grids=replace(SMALL.grids, steps=1))
    corpus, units, pairs, text = (folder / name for name in ("corpus", "units", "pairs.jsonl", "text.txt"))
    train(run, corpus, units, folder / "llm", tmp_path, pairs=pairs, text=text)
    trunk = load_part(tmp_path, "audiopalm").config.trunk
    assert (trunk.dim, trunk.layers, trunk.heads) == (64, 1, 2)
