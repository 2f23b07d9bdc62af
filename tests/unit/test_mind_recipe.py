"""The mind's recipe: lines are a function of the step, and copies are true."""

import pytest
import torch

from vivavoce.data.character import Turn
from vivavoce.models.mind import MindConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.mind_data import Lines
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
    turn = Turn(kind="repeat", user="say cold water makes good friends", reply="Cold water makes good friends.")
    assert lines.pieces(turn, turn.user.split(), None) == [("cold water makes good friends", True), (".", False)]
    before = Turn(kind="greeting", user="hello", reply="Well met, friend.", cut=2)
    asked = Turn(kind="last_reply", user="what did you say", reply="I said: Well met,")
    assert lines.pieces(asked, asked.user.split(), (["hello"], before))[1] == ("Well met,", True)
    asked = Turn(kind="last_user", user="what did i say", reply="You said: hello.")
    assert ("hullo", True) in lines.pieces(asked, asked.user.split(), (["hullo"], before))
