"""The suite runs through on a model whose answers are known, and says so."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vivavoce.core.errors import ManifestError
from vivavoce.data.character import Character, heard
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.evals import listening, orders, scenes, speaking
from vivavoce.evals.word_errors import plain

needs_engines = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("espeak-ng", "flite", "festival")),
    reason="the synthesis programs espeak-ng, flite and festival are not installed",
)

KNOWN = orders.default_orders()


def test_orders_are_different_repeatable_and_mean_what_the_grammar_says():
    made = KNOWN.orders(300)
    assert len({order.text for order in made}) == 300
    assert made == KNOWN.orders(300)
    assert made != KNOWN.orders(300, seed=1)
    for order in made:
        assert KNOWN.slots(order.text.split()) == order.slots
        assert "coffeeDrink" in order.slots


def test_no_training_talk_has_the_sentences_that_are_no_order():
    measured = KNOWN.not_orders()
    assert len(set(measured)) == len(measured) > 140
    character = Character()
    taught = {turn.user for turn in character.talk(8000, 3)}
    taught |= {turn.user for dialogue in character.dialogues(500, 4) for turn in dialogue.turns}
    assert not taught & {heard(text) for text in measured}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("can i get a medium roast latte", {"roast": "medium roast", "coffeeDrink": "latte"}),
        ("brew an iced mocha with cream", {"coffeeDrink": "iced mocha", "milkAmount": "cream"}),
        (
            "make me a small coffee with lots of sugar and a bit of skim milk",
            {
                "size": "small",
                "coffeeDrink": "coffee",
                "sugarAmount": "lots of sugar",
                "milkAmount": "a bit of skim milk",
            },
        ),
    ],
)
def test_slots_of_a_sentence(text: str, wanted: dict[str, str]):
    assert KNOWN.slots(text.split()) == wanted


def test_an_order_counts_only_if_every_slot_is_right():
    order = orders.SpokenOrder("a small latte", {"size": "small", "coffeeDrink": "latte"})
    right = {"name": "order_drink", "arguments": {"coffeeDrink": "latte", "size": "small"}}
    assert listening.accepted(order, [right])
    assert listening.accepted(order, [SimpleNamespace(arguments=right["arguments"])])
    assert not listening.accepted(order, [right, right])
    assert not listening.accepted(order, [])
    assert not listening.accepted(order, [{"arguments": {"coffeeDrink": "latte"}}])


def test_replies_are_sentences_about_orders():
    made = KNOWN.replies(60, 0)
    assert len(made) == 60
    assert not [text for text in made if "can i get" in text or "{" in text]
    assert all(len(plain(text)) > 4 for text in made)


class Always:
    """Answers every recording with the same order and says everything with the voice of flite."""

    codec = listener = None
    character = load_sheet()

    def __init__(self, order: dict[str, str]) -> None:
        self.order = order

    def ask(self, recording: Any, *, voice: Any = None, speak: bool = True) -> Any:
        return SimpleNamespace(calls=[{"name": "order_drink", "arguments": self.order}])

    def say(self, text: str, *, voice: Any = None, seed: int = 0) -> Iterator[torch.Tensor]:
        from vivavoce.data.synthesis import Reading, speak

        for one in speak([Reading(text=text, engine="flite", voice="slt")], sample_rate=24_000):
            yield torch.from_numpy(one.wave)

    def ungated(self) -> Any:
        return self

    def transcribe(self, recording: Any) -> Any:
        return SimpleNamespace(transcript="")


@needs_engines
def test_the_order_table_counts_right_and_wrong(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pocketsphinx")
    same = [orders.SpokenOrder("can i get a small latte", {"size": "small", "coffeeDrink": "latte"})]
    monkeypatch.setattr(orders.StatedOrders, "orders", lambda *given: same)
    monkeypatch.setattr(listening, "SNRS", (None,))
    for answer, share in ((same[0].slots, 1.0), ({"coffeeDrink": "latte"}, 0.0)):
        table = listening.order_table(Always(answer), 1, 0, say=lambda line: None)
        ours = [row.value.value for row in table.rows if row.value and not row.name.startswith("—")]
        assert ours == [share, share]


@needs_engines
def test_a_voice_that_never_changes_is_right_in_no_pair():
    table = speaking.described_table(Always({}), 1, 0, say=lambda line: None)
    assert {row.name: row.value.value for row in table.rows if row.value} == {"pitch": 0, "rate": 0, "loudness": 0}


@needs_engines
def test_replies_of_flite_are_as_good_as_flite():
    pytest.importorskip("pocketsphinx")
    table = speaking.reply_table(Always({}), [], 3, 0, say=lambda line: None)
    by_name = {row.name: row.value for row in table.rows}
    ratio = by_name["ours / flite's"]
    assert ratio is not None
    assert ratio.value == pytest.approx(1, abs=0.35)
    assert by_name["real people, their own texts"] is None


def test_what_needs_recordings_says_that_it_was_not_measured():
    table = listening.real_table(Always({}), [], 10, say=lambda line: None)
    assert {row.shown() for row in table.rows} == {"not measured"}


def test_any_character_is_measured_by_its_own_orders():
    porter = load_sheet(find_sheet("porter"))
    drawn = orders.orders_of(porter)
    made = drawn.orders(20)
    assert all(porter.tool.item in order.slots for order in made)
    assert drawn.grammar() is None
    assert any("room" in sentence for sentence in drawn.not_orders(20))
    assert len(set(drawn.replies(10))) == 10
    whole, halves, additions = scenes._texts(porter, 3, 0)
    assert len(whole) == len(halves) == len(additions) == 3
    assert all(first and rest for first, rest in [*halves, *additions])


def test_the_order_table_of_a_character_without_a_grammar_has_no_yardstick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listening, "spoken", lambda texts, engines, seed: [SimpleNamespace(wave=torch.zeros(160))])
    monkeypatch.setattr(listening, "SNRS", (None,))
    model = Always({})
    model.character = load_sheet(find_sheet("porter"))
    table = listening.order_table(model, 1, 0, say=lambda line: None)
    assert [row.name for row in table.rows] == [f"{group}, clean" for group in listening.GROUPS]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("no_orders:", "sentences:", "not complete.*no_orders"),
        ("item: coffeeDrink", "item: drink", "names 'drink', which is no slot of order_drink"),
        ("replies:", "replies: [", "cannot be read"),
    ],
)
def test_faults_of_what_is_stated_by_hand_are_named(tmp_path: Path, old: str, new: str, problem: str):
    innkeeper = load_sheet().folder
    assert innkeeper is not None
    stated = (innkeeper / orders.FILE).read_text()
    (tmp_path / "sheet.yaml").write_text((innkeeper / "sheet.yaml").read_text())
    (tmp_path / orders.FILE).write_text(stated.replace(old, new))
    with pytest.raises(ManifestError, match=problem):
        orders.orders_of(load_sheet(tmp_path / "sheet.yaml"))
