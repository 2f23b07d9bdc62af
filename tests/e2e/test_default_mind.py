"""The shipped mind takes orders and changes, calls nothing unasked, and fills tools that nobody taught it."""

import json

import pytest

from vivavoce.assistant.thinking import CharacterMind
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Call, Entry, Say, Tool
from vivavoce.evals.minds import measure
from vivavoce.runtime.model import Context

LIGHT = Tool(
    name="set_light",
    parameters={
        "type": "object",
        "properties": {
            "room": {"enum": ["kitchen", "bedroom", "living room"]},
            "brightness": {"type": "integer", "minimum": 0, "maximum": 100},
            "colours": {"type": "array", "items": {"enum": ["red", "blue", "warm white"]}, "maxItems": 3},
        },
        "required": ["room"],
    },
)
TRIP = Tool(
    name="bookTrip",
    parameters={
        "type": "object",
        "properties": {
            "route": {
                "type": "object",
                "properties": {"from": {"type": "string"}, "to": {"type": "string"}},
                "required": ["from", "to"],
            },
            "seats": {"type": "integer", "minimum": 1},
            "class": {"enum": ["economy", "business"]},
        },
        "required": ["route"],
    },
)


@pytest.fixture(scope="module")
def clerk() -> CharacterMind:
    return CharacterMind(load_part(BUNDLED, "mind"))


class Talk:
    """A typed conversation with the clerk."""

    def __init__(self, clerk: CharacterMind) -> None:
        self.clerk = clerk
        self.entries: list[Entry] = []

    def say(self, text: str) -> tuple[list[dict[str, str]], str]:
        """The arguments of the calls, and the reply."""
        self.entries.append(Entry(id=f"u{len(self.entries)}", text=text))
        events = list(self.clerk.respond(Context(entries=tuple(self.entries), tools=self.clerk.tools)))
        calls = [event for event in events if isinstance(event, Call)]
        reply = "".join(event.text for event in events if isinstance(event, Say))
        for call in calls:
            name = f"c{len(self.entries)}"
            made = Entry(id=name, kind="call", role="assistant", name=call.name, arguments=call.arguments)
            self.entries.append(made)
        self.entries.append(Entry(id=f"a{len(self.entries)}", role="assistant", text=reply))
        return [json.loads(call.arguments) for call in calls], reply


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("can I have an iced coffee", {"coffeeDrink": "iced coffee"}),
        (
            "brew a dark roast sixteen ounce latte with a bit of almond milk and some sugar",
            {
                "coffeeDrink": "latte",
                "size": "sixteen ounce",
                "roast": "dark roast",
                "milkAmount": "a bit of almond milk",
                "sugarAmount": "some sugar",
            },
        ),
        (
            "give me an americano with a lot of brown sugar and a little bit of cream",
            {"coffeeDrink": "americano", "milkAmount": "a little bit of cream", "sugarAmount": "a lot of brown sugar"},
        ),
        ("I want a medium coffee", {"coffeeDrink": "coffee", "size": "medium"}),
        ("I want a medium roast coffee", {"coffeeDrink": "coffee", "roast": "medium roast"}),
        (
            "get me a double shot medium mocha with lots of sweetener",
            {
                "coffeeDrink": "mocha",
                "size": "medium",
                "numberOfShots": "double shot",
                "sugarAmount": "lots of sweetener",
            },
        ),
    ],
)
def test_an_order_is_understood_and_read_back(clerk: CharacterMind, said: str, wanted: dict[str, str]) -> None:
    calls, reply = Talk(clerk).say(said)
    assert calls == [wanted]
    assert all(value in reply.lower() for value in wanted.values())


def test_changes_one_after_the_other_keep_the_rest_of_the_order(clerk: CharacterMind) -> None:
    talk = Talk(clerk)
    order = {"coffeeDrink": "latte", "size": "large", "sugarAmount": "some sugar"}
    assert talk.say("can I get a large latte with some sugar")[0] == [order]
    for said, change in (
        ("actually make that small", {"size": "small"}),
        ("make it a mocha please", {"coffeeDrink": "mocha"}),
        ("add some cream", {"milkAmount": "some cream"}),
    ):
        order |= change
        calls, reply = talk.say(said)
        assert calls == [order]
        assert all(value in reply.lower() for value in order.values())


@pytest.mark.parametrize(
    "said", ["hello there", "what do you have", "my wife loves a latte", "blue window seven", "no"]
)
def test_what_is_no_order_calls_nothing_and_is_answered(clerk: CharacterMind, said: str) -> None:
    calls, reply = Talk(clerk).say(said)
    assert not calls
    assert reply


@pytest.mark.parametrize(
    ("tool", "said", "wanted"),
    [
        (LIGHT, "turn the bedroom light to forty percent", {"room": "bedroom", "brightness": 40}),
        (LIGHT, "the living room in red and warm white", {"room": "living room", "colours": ["red", "warm white"]}),
        (TRIP, "two seats from oslo to madrid", {"route": {"from": "oslo", "to": "madrid"}, "seats": 2}),
        (TRIP, "business from oslo to rome", {"route": {"from": "oslo", "to": "rome"}, "class": "business"}),
    ],
)
def test_a_tool_that_nobody_taught_is_called_when_the_words_are_clear(
    clerk: CharacterMind, tool: Tool, said: str, wanted: object
):
    for choice in ("auto", tool.name):
        events = clerk.respond(Context(entries=(Entry(id="u", text=said),), tools=(tool,), tool_choice=choice))
        assert [json.loads(event.arguments) for event in events if isinstance(event, Call)] == [wanted]
    unclear = clerk.respond(Context(entries=(Entry(id="u", text="hello there"),), tools=(tool,)))
    assert not any(isinstance(event, Call) for event in unclear)


def test_orders_are_still_right_after_they_were_changed(clerk: CharacterMind):
    report = measure(clerk.mind, chains=4)
    assert sum(report.asked.values()) == 20
    assert sum(report.right.values()) >= 16, report.wrong
