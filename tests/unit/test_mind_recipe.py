"""The mind's recipe: lines are a function of the step, and copies are true."""

import pytest
import torch

from vivavoce.core import rng
from vivavoce.data.character import Character, Dialogue, ScriptedTurn
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.models.mind import MindConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.mind_data import Lines
from vivavoce.recipes.words import WordsRun, texts
from vivavoce.text.bpe import BpeConfig

TINY = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=16, window=512)


@pytest.fixture(scope="module")
def lines() -> Lines:
    model = MindConfig(bpe=BpeConfig(merges=()), trunk=TINY, tools=("order_drink",)).build()
    return Lines(model, seed=3, batch=2, longest=900, read=["this is what somebody read aloud"])


def test_lines_are_a_function_of_the_step(lines: Lines) -> None:
    again = Lines(lines.model, seed=3, batch=2, longest=900, read=["this is what somebody read aloud"])
    for step in (0, 5, 9):
        assert torch.equal(lines(step).ids, again(step).ids)
        assert torch.equal(lines(step).weights, again(step).weights)
    assert not torch.equal(lines(0).ids[:, :50], lines(8).ids[:, :50])


def test_copies_are_marked_and_true(lines: Lines) -> None:
    turn = ScriptedTurn(kind="repeat", user="say cold water makes good friends", reply="Cold water makes good friends.")
    assert lines.pieces(turn, turn.user.split(), None) == [("cold water makes good friends", True), (".", False)]
    before = ScriptedTurn(kind="greeting", user="hello", reply="Well met, friend.", cut=2)
    asked = ScriptedTurn(kind="last_reply", user="what did you say", reply="I said: Well met,")
    assert lines.pieces(asked, asked.user.split(), (["hello"], before))[1] == ("Well met,", True)
    asked = ScriptedTurn(kind="last_user", user="what did i say", reply="You said: hello.")
    assert ("hullo", True) in lines.pieces(asked, asked.user.split(), (["hullo"], before))


def test_words_that_are_spelled_count_nothing_in_a_call() -> None:
    """They are taken from what was said; a mind that had to learn them by heart would learn little else."""
    sheet = load_sheet(find_sheet("porter"))
    model = MindConfig(bpe=BpeConfig(merges=()), trunk=TINY, tools=(sheet.tool.name,)).build()
    lines = Lines(model, seed=1, batch=2, longest=900, sheet=sheet)
    (turn,) = Character(sheet).orders(1, 3, whole=True)
    ids, weights = lines.line(Dialogue((turn,)), rng.stream(2, "line"), noisy=False)
    name = model.spell(b"", f'"{turn.calls[0].arguments["name"]}"'.encode())
    place = next(n for n in range(len(ids)) if ids[n : n + len(name)] == name and weights[n - 1] > 1)
    assert set(weights[place : place + len(name)]) == {0.0}
    assert weights[place + len(name)] > 1


def test_words_that_no_sheet_lists_are_only_spelled_in_what_the_word_model_is_counted_on() -> None:
    listed = set(load_sheet(find_sheet("porter")).tool.slot("name").values)
    run = WordsRun(character="porter", plain=300, rich=0, talk=0, dialogues=0, anything=0)
    spelled = 0
    for text, _ in texts(run):
        words = text.split()
        for place, word in enumerate(words):
            if len(word) > 1 and words[place + 1 : place + 1 + len(word)] == list(word):
                assert word in listed
                spelled += 1
    assert spelled > 50
