"""SpeechGPT in miniature: three stages in order, the chain of modality, and what is refused."""

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.token_corpora import corpus as make_corpus
from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, PartError, SpecError, TrainingError
from vivavoce.core.layout import read
from vivavoce.core.parts import copy_part, load_part, read_card
from vivavoce.core.places import BUNDLED
from vivavoce.data.phrasings import phrased, phrasings
from vivavoce.data.tokens import TokenCorpus
from vivavoce.evals.listening import Clip
from vivavoce.evals.orders import default_orders
from vivavoce.evals.speech_units import UnitsSuite, orders_table, units_tables
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.speechgpt import load_speechgpt
from vivavoce.recipes import unit_vocoder
from vivavoce.recipes.miniature import chat_model, unit_corpus
from vivavoce.recipes.speechgpt import SAID, SMALL, debug, train
from vivavoce.recipes.speechgpt_data import makers_of
from vivavoce.recipes.token_lm import FreshTrunk
from vivavoce.systems.speechgpt import CHAINS, FORMS, SpeechGPT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("speechgpt")
    found = debug(made)
    for stage in ("", "first ", "second "):
        assert found[f"{stage}after"] < 0.6 * found[f"{stage}before"], found
    return made


def test_the_first_two_stages_change_every_weight_and_the_third_small_maps_only(folder: Path) -> None:
    first, second, third = (load_part(folder / str(stage), "speechgpt") for stage in (1, 2, 3))
    for name, weight in second.lm.state_dict().items():
        assert not torch.equal(weight, first.lm.state_dict()[name]), name
        kept = third.lm.state_dict()[name.replace(".qkv.", ".qkv.linear.")]
        assert torch.equal(weight, kept), f"{name} is not what stage 2 left"
    learnt = {name for name, weight in third.lm.named_parameters() if weight.requires_grad}
    assert learnt and all(".down." in name or ".up." in name for name in learnt)
    held = read_card(folder / "3", "speechgpt")["held_out"]
    assert held["after"]["tokens"] < held["before"]["tokens"]
    assert read_card(folder / "3", "speechgpt")["stages"], "the card tells of the stage before"


def test_the_chain_is_read_back_in_its_order_in_all_four_formats(folder: Path) -> None:
    model, text = load_part(folder / "3", "speechgpt"), ChatText.load(folder / "3")
    tokens = TokenCorpus(folder / "corpus")
    run = replace(SMALL, stage=3)
    makers = makers_of(run, tokens, model.config, text, folder / "pairs.jsonl", None, print)
    for form in CHAINS:
        grid, layout = makers.grid(form, (0, 1), None), model.config.layout(form)
        found = read(layout, grid.ids)
        assert tuple(found) == FORMS[form]
        marks = [layout.marks[id] for id in grid.ids[0].tolist() if id < len(layout.marks)]
        assert marks == [*FORMS[form], "end"]
        for name, index in (("tq", 0), ("ta", 1)):
            if name in found:
                assert text.read(found[name][0].tolist()) == tokens.utterances[index].text
        for name, index in (("asked", 0), ("ua", 1)):
            if name in found:
                assert torch.equal(found[name], makers.units(index))
                assert (found[name][0].diff() != 0).all(), "there are repeats"
        given = [place for place, name in enumerate(grid.ids[0].tolist()) if not grid.target[0, place] and name]
        assert max(given) < grid.target[0].nonzero().min(), "the loss is counted on the answer only"
    system = SpeechGPT(model, text, load_part(folder / "3", "units"))
    items = system.given("speech to text", [{"role": "user", "content": ""}], makers.units(0))
    *_, written = system.write("speech to text", items, seed=1, most=300)
    assert written.chain.question and written.chain.units is None


def test_one_voice_is_learnt_to_be_said_and_all_others_to_be_written_down(folder: Path) -> None:
    model, text = load_part(folder / "1", "speechgpt"), ChatText.load(folder / "3")
    tokens = TokenCorpus(folder / "corpus")
    speakers = ["guest", "guest", "host"]
    tokens.utterances = tuple(replace(u, speaker=s) for u, s in zip(tokens.utterances, speakers, strict=True))
    own, others = "host", [0, 1]
    run = replace(SMALL, stage=2, only=(own,), recognise=0.25)
    makers = makers_of(run, tokens, model.config, text, None, None, print)
    learnt = [index for (index,) in makers.train]
    assert [n for n in learnt if speakers[n] != own] == others, "all others are written down once"
    assert sum(speakers[n] == own for n in learnt) == 3 * len(others)
    assert set(makers.others()) == {"recognise", "synthesise", "text"}
    spoken = sum((grid.ids[0] == model.config.whole.marks.index("asked")).any() for grid in makers.held_out())
    assert 0 < spoken < len(makers.held_out())
    with pytest.raises(TrainingError, match="that nobody says to learn from"):
        makers_of(replace(run, only=("nobody",)), tokens, model.config, text, None, None, print)


def test_there_are_many_wordings() -> None:
    for task in ("recognise", "synthesise"):
        assert len(set(phrasings(task))) >= 200
    assert phrased("text to text", "Hi.") == "Hi."


def test_a_stage_begins_from_the_one_before(folder: Path, tmp_path: Path) -> None:
    corpus, units, pairs = folder / "corpus", folder / "units", folder / "pairs.jsonl"
    with pytest.raises(TrainingError, match=r"stage 3 starts from a model of stage 2, the one in .* is of stage 1"):
        train(replace(SMALL, stage=3), corpus, units, tmp_path, start=folder / "1", pairs=pairs)
    with pytest.raises(TrainingError, match="stage 2 starts from stage 1"):
        train(replace(SMALL, stage=2), corpus, units, tmp_path, llm=folder / "llm")
    with pytest.raises(TrainingError, match="stage 1 starts from a chat model"):
        train(SMALL, corpus, units, tmp_path, start=folder / "1")
    with pytest.raises(TrainingError, match="stage 3 needs questions"):
        train(replace(SMALL, stage=3), corpus, units, tmp_path, start=folder / "2")
    with pytest.raises(PartError, match="brings no chat template"):
        train(SMALL, corpus, units, tmp_path, llm=chat_model(tmp_path / "bare", template=""))
    other, _ = unit_corpus(tmp_path / "other", (("4.ogg", "How do I sound?"),), size=12)
    with pytest.raises(TrainingError, match="make the corpus again"):
        train(replace(SMALL, stage=2), other, units, tmp_path, start=folder / "1")


def test_units_of_another_alphabet_are_refused(folder: Path, tmp_path: Path) -> None:
    _, units = unit_corpus(tmp_path, (("4.ogg", "How do I sound?"),), size=12)
    model, text = load_part(folder / "3", "speechgpt"), ChatText.load(folder / "3")
    with pytest.raises(SpecError, match=r"was trained on .*units.*, got .*use the parts"):
        SpeechGPT(model, text, load_part(units, "units"))


def test_a_full_context_loses_its_oldest_turns_and_the_log_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system = SpeechGPT(
        load_part(folder / "3", "speechgpt"), ChatText.load(folder / "3"), load_part(folder / "3", "units")
    )
    turns = [{"role": role, "content": f"{n} " * 60} for n in range(4) for role in ("user", "assistant")]
    with caplog.at_level(logging.WARNING):
        items = system.given("text to text", [*turns, {"role": "user", "content": "And?"}], room=200)
    assert "the oldest" in caplog.text and items["instruction"].shape[1] <= 800
    text = system.text.read(items["instruction"][0].tolist())
    assert "3 3" in text and "0 0" not in text and "And?" in text
    with pytest.raises(SpecError, match="ask something shorter"):
        system.given("text to text", [{"role": "user", "content": "long " * 300}])


def test_words_are_measured_both_ways_beside_controls(folder: Path, tmp_path: Path) -> None:
    clips = []
    for name, text in SAID:
        wave, rate = read_audio(RECORDINGS / name)
        clips.append(Clip("vivavoce:synthetic", wave, rate, text, "vivavoce", True))
    (tmp_path / "lines.txt").write_text("The counter opens at nine.\nIt closes at five.\n")
    suite = UnitsSuite(text=(tmp_path / "lines.txt", str(folder / "llm")))
    heard, said, text = units_tables(load_speechgpt(folder / "3"), clips, suite, print)
    assert [row.name for row in heard.rows] == [
        "word errors, asked to write it down",
        "— from the units of another recording",
        "word errors, before it answers",
    ]
    assert all(row.value.n == len(SAID) for row in heard.rows)
    assert len(said.rows) == 3 and 0 < said.rows[2].value.value < 5.0, said
    assert [row.value.n for row in text.rows] == [2, 2] and all(0 < row.value.value < 12 for row in text.rows)
    with pytest.raises(ConfigError, match=r"reads .*, this model .*; give the one it was"):
        other = chat_model(tmp_path / "other", dim=32, template="{{ messages[0].content }}")
        tokens = (other / "tokenizer.json").read_text().replace('"<|im_start|>"', '"<|start|>"')
        (other / "tokenizer.json").write_text(tokens)
        units_tables(load_speechgpt(folder / "3"), clips[:1], UnitsSuite(text=(suite.text[0], str(other))), print)


def test_spoken_orders_are_counted_beside_the_default_model(folder: Path) -> None:
    orders = iter(default_orders().orders(4, 7))

    def cascade(_: torch.Tensor) -> SimpleNamespace:
        slots = next(orders).slots
        return SimpleNamespace(calls=[{"arguments": slots}], reply=f"So: {', '.join(slots.values())}.")

    table = orders_table(load_speechgpt(folder / "3"), 4, cascade, None, print)
    found = {row.name: row.value.value for row in table.rows if row.value is not None}
    assert len(found) == 5 and [value for name, value in found.items() if "default" in name] == [1.0, 1.0]
    assert max(value for name, value in found.items() if "default" not in name) == 0.0, "it never heard an order"


def test_a_trunk_can_be_fresh(folder: Path, tmp_path: Path) -> None:
    fresh = FreshTrunk(dim=64, layers=3, heads=2)
    run = replace(SMALL, fresh=fresh, grids=replace(SMALL.grids, steps=2))
    train(run, folder / "corpus", folder / "units", tmp_path, llm=folder / "llm")
    trunk = load_part(tmp_path, "speechgpt").config.trunk
    assert (trunk.dim, trunk.layers, trunk.heads, trunk.head_dim) == (64, 3, 2, 32)
    with pytest.raises(TrainingError, match="a fresh trunk is for stage 1"):
        train(replace(run, stage=2), folder / "corpus", folder / "units", tmp_path / "2", start=tmp_path)
    with pytest.raises(ConfigError, match="cannot be 65 wide"):
        replace(fresh, dim=65).of(trunk)


def test_it_answers_a_recording_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    make_corpus(folder / "speech", [str(BUNDLED)], folder / "corpus")
    found = unit_vocoder.train(unit_vocoder.SMALL, folder / "corpus", BUNDLED, tmp_path / "run")
    assert found["right"] > 0.5 and found["durations"] < 0.5, found
    for part in ("vocoder", "codec"):
        copy_part(tmp_path / "run", part, folder / "3")
    asked = ["ask", str(RECORDINGS / "1.ogg"), "--out", str(tmp_path / "answers"), "--json", "--mind"]
    done = CliRunner().invoke(app, [*asked, str(folder / "2")])
    assert done.exit_code == 2 and "is of stage 2 and holds no conversations" in done.output
    done = CliRunner().invoke(app, [*asked, str(folder / "3")])
    assert done.exit_code == 0, done.output
    assert len(read_audio(tmp_path / "answers/1.answer.wav", allow_silent=True)[0]) > 0
