"""The default model holds the demonstration's conversation: it hears, calls, speaks, and remembers."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vivavoce.assistant.demo import LINES, demonstrate
from vivavoce.assistant.model import Model, load
from vivavoce.assistant.turn import Turn
from vivavoce.core.talk import Word
from vivavoce.runtime.model import RATE
from vivavoce.text.normalise import normalise


@pytest.fixture(scope="module")
def model() -> Model:
    return load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def turns(model: Model, folder: Path) -> list[Turn]:
    return demonstrate(model, folder, fast=True)


def test_the_order_becomes_a_call(turns: list[Turn]) -> None:
    assert turns[1].calls == [
        {
            "name": "order_drink",
            "arguments": {
                "coffeeDrink": "latte",
                "size": "large",
                "roast": "dark roast",
                "milkAmount": "a bit of almond milk",
                "sugarAmount": "some sugar",
            },
        }
    ]


def test_a_change_repeats_the_whole_order(turns: list[Turn]) -> None:
    before, after = (turns[n].calls[0]["arguments"] for n in (1, 2))
    assert after == before | {"size": "small"}


def test_greetings_and_questions_call_nothing(turns: list[Turn]) -> None:
    assert not turns[0].calls and not turns[3].calls and not turns[4].calls
    assert turns[0].reply


def test_it_hears_what_was_said(turns: list[Turn]) -> None:
    right = [turn.transcript == " ".join(normalise(says)) for turn, (_, says) in zip(turns, LINES, strict=True)]
    assert sum(right) >= 4


def test_it_repeats_what_it_just_said(turns: list[Turn]) -> None:
    assert turns[3].reply.rstrip(".!?").lower() in turns[4].reply.lower()


def test_everything_is_written_down(turns: list[Turn], folder: Path) -> None:
    both, rate = soundfile.read(folder / "conversation.wav")
    assert rate == RATE and both.shape[1] == 2 and (np.abs(both).max(axis=0) > 0.05).all()
    told = json.loads((folder / "conversation.json").read_text())["turns"]
    assert len(told) == len(turns) == len(LINES)
    for turn in told:
        assert turn["words"] and turn["reply_words"] and turn["first_audio_ms"] > 0
        assert all(a["end"] <= b["start"] + 0.05 for a, b in zip(turn["words"], turn["words"][1:], strict=False))
    assert (folder / "conversation.png").stat().st_size > 10_000


def test_the_same_question_gives_the_same_answer(model: Model) -> None:
    first, second = (model.answer("two mochas please", speak=False) for _ in range(2))
    assert first.reply == second.reply and first.calls == second.calls


def test_words_that_make_no_sentence_are_not_trusted(model: Model) -> None:
    def believed(text: str) -> float:
        return model.ears.weighed([Word(word, 0, 0, 0.9) for word in text.split()])[0].confidence

    assert believed("i'd like a small mocha with a lot of milk") == 0.9
    assert believed("make me a latte to the dream") < 0.2
    assert believed("stop it") == 0.9
