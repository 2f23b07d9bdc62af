"""Tools as clients declare them, spoken to the shipped mind: only what was said, in the right fields, or a question."""

import json
from typing import Any

import pytest

from vivavoce.assistant.thinking import CharacterMind
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Call, Entry, Say, Tool
from vivavoce.evals.minds import declared
from vivavoce.evals.tools import SCHEMAS
from vivavoce.runtime.model import Context

TEXT = {"type": "string"}


def tool(name: str, about: str = "", required: tuple[str, ...] = (), **properties: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name=name, description=about, parameters=schema)


PLACE = tool("place_order", "", ("drink", "size", "extras"), drink=TEXT, size=TEXT, extras=TEXT)
SHORT = tool("place_order", "Place a drink order", ("drink",), drink=TEXT, size=TEXT, extras=TEXT)
NAMED = tool("place_order", "", ("drink", "customer_name"), drink=TEXT, size=TEXT, customer_name=TEXT)
LISTED = tool(
    "order_drink", "", ("drink",), drink={"enum": ["tea", "latte", "hot chocolate"]}, size={"enum": ["S", "M", "L"]},
    iced={"type": "boolean"}, quantity={"type": "integer"},
)  # fmt: skip
WEATHER = tool(
    "get_weather", "Get the current weather for a city", ("city",), city=TEXT, unit={"enum": ["celsius", "fahrenheit"]}
)
TIMER = tool("set_timer", "", ("minutes",), minutes={"type": "integer"}, label=TEXT)
TIME = tool("get_current_time", "Returns the time")
SEARCH = tool("web_search", "Search the web", ("query",), query=TEXT)
MESSAGE = tool("send_message", "Send a message to a contact", ("recipient", "text"), recipient=TEXT, text=TEXT)
PRICE = tool("get_price", "Price of a drink", ("drink",), drink=TEXT)
CANCEL = tool("cancel_order", "Cancel an order", ("order_id",), order_id=TEXT)


@pytest.fixture(scope="module")
def clerk() -> CharacterMind:
    return CharacterMind(load_part(BUNDLED, "mind"))


class Talk:
    """A typed conversation in which the client's tools are declared."""

    def __init__(self, clerk: CharacterMind, *tools: Tool, choice: str = "auto") -> None:
        self.clerk, self.tools, self.choice = clerk, tools, choice
        self.entries: list[Entry] = []

    def say(self, text: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
        number = len(self.entries)
        self.entries.append(Entry(id=f"u{number}", text=text))
        context = Context(entries=tuple(self.entries), tools=self.tools, tool_choice=self.choice)
        calls: list[tuple[str, dict[str, Any]]] = []
        reply = ""
        for event in self.clerk.respond(context):
            if isinstance(event, Call):
                calls.append((event.name, json.loads(event.arguments)))
                made = Entry(
                    id=f"c{len(self.entries)}", kind="call", role="assistant", call=f"c{number}", name=event.name,
                    arguments=event.arguments,
                )  # fmt: skip
                self.entries.append(made)
            elif isinstance(event, Say):
                reply += event.text
        if reply:
            self.entries.append(Entry(id=f"a{number}", role="assistant", text=reply))
        return calls, reply


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_an_order_reaches_schemas_that_nobody_taught(clerk: CharacterMind, schema: Any) -> None:
    from vivavoce.evals.orders import SpokenOrder

    text = "can i get a large dark roast latte with a bit of almond milk"
    slots = {"coffeeDrink": "latte", "size": "large", "roast": "dark roast", "milkAmount": "a bit of almond milk"}
    calls, _ = declared(clerk.mind)(text, schema)
    assert calls == [(schema.tool, schema.wanted(SpokenOrder(text, slots)))]


def test_what_is_required_and_was_not_said_is_asked_for_and_then_complete(clerk: CharacterMind) -> None:
    talk = Talk(clerk, PLACE)
    calls, reply = talk.say("a latte please")
    assert not calls and "size" in reply and reply.endswith("?")
    calls, reply = talk.say("large")
    assert not calls and "extras" in reply and reply.endswith("?")
    calls, reply = talk.say("no")
    assert calls == [("place_order", {"drink": "latte", "size": "large", "extras": "none"})]
    assert "large latte" in reply.lower()
    assert talk.say("actually make that small")[0] == [
        ("place_order", {"drink": "latte", "size": "small", "extras": "none"})
    ]


def test_a_question_in_between_is_answered_and_the_order_stays_open(clerk: CharacterMind) -> None:
    talk = Talk(clerk, PLACE)
    talk.say("can I get a latte")
    calls, reply = talk.say("what sizes do you have")
    assert not calls and "medium" in reply
    talk.say("a large one please")
    assert talk.say("nothing")[0] == [("place_order", {"drink": "latte", "size": "large", "extras": "none"})]


def test_changes_go_through_the_clients_own_schema(clerk: CharacterMind) -> None:
    talk = Talk(clerk, SHORT)
    order = {"drink": "latte"}
    assert talk.say("a latte")[0] == [("place_order", order)]
    for said, change in (
        ("actually make that small", {"size": "small"}),
        ("add some cream", {"extras": "some cream"}),
        ("make it a mocha", {"drink": "mocha"}),
    ):
        order |= change
        assert talk.say(said)[0] == [("place_order", order)]


def test_a_name_is_asked_for_as_it_was_typed_and_kept(clerk: CharacterMind) -> None:
    talk = Talk(clerk, NAMED)
    calls, reply = talk.say("can I get a small mocha")
    assert not calls and "name" in reply
    order = {"drink": "mocha", "size": "small", "customer_name": "Bob"}
    assert talk.say("my name is Bob")[0] == [("place_order", order)]
    assert talk.say("make it a large")[0] == [("place_order", order | {"size": "large"})]
    assert Talk(clerk, NAMED).say("a latte for Anna")[0] == [
        ("place_order", {"drink": "latte", "customer_name": "Anna"})
    ]


def test_values_that_only_the_client_lists(clerk: CharacterMind) -> None:
    assert Talk(clerk, LISTED).say("can i get a large tea")[0] == [("order_drink", {"drink": "tea", "size": "L"})]
    assert Talk(clerk, LISTED).say("two lattes please")[0] == [("order_drink", {"drink": "latte", "quantity": 2})]
    calls, reply = Talk(clerk, LISTED).say("an iced latte")
    assert calls == [("order_drink", {"drink": "latte", "iced": True})] and "mocha" not in reply.lower()


@pytest.mark.parametrize(
    ("declared", "said", "name", "arguments"),
    [
        (WEATHER, "what's the weather in New York", "get_weather", {"city": "New York"}),
        (WEATHER, "how is the weather in rome in celsius", "get_weather", {"city": "rome", "unit": "celsius"}),
        (TIMER, "set a timer for ten minutes", "set_timer", {"minutes": 10}),
        (TIMER, "set a timer for 25 minutes called pasta", "set_timer", {"minutes": 25, "label": "pasta"}),
        (TIME, "what time is it", "get_current_time", {}),
        (SEARCH, "search the web for the history of coffee", "web_search", {"query": "history of coffee"}),
        (MESSAGE, "send a message to anna saying hi there", "send_message", {"recipient": "anna", "text": "hi there"}),
        (PRICE, "what's the price of a mocha", "get_price", {"drink": "mocha"}),
        (CANCEL, "cancel order twelve", "cancel_order", {"order_id": "12"}),
    ],
)  # fmt: skip
def test_other_tools_are_called_where_the_words_are_clear(
    clerk: CharacterMind, declared: Tool, said: str, name: str, arguments: dict[str, Any]
) -> None:
    assert Talk(clerk, declared).say(said)[0] == [(name, arguments)]
    assert Talk(clerk, SHORT, declared).say(said)[0] == [(name, arguments)]


@pytest.mark.parametrize("said", ["hello", "a latte", "how are you", "blue window seven", "wait five minutes please"])
def test_other_tools_are_left_alone_where_they_are_not(clerk: CharacterMind, said: str) -> None:
    calls, reply = Talk(clerk, WEATHER, TIMER, TIME, SEARCH, MESSAGE).say(said)
    assert not calls and reply


def test_another_tool_asks_for_what_it_lacks(clerk: CharacterMind) -> None:
    talk = Talk(clerk, WEATHER)
    calls, reply = talk.say("what is the weather like")
    assert not calls and "city" in reply and reply.endswith("?")
    assert talk.say("Oslo")[0] == [("get_weather", {"city": "Oslo"})]


def test_several_orders_are_several_items_or_several_calls(clerk: CharacterMind) -> None:
    said = "i want a latte and a mocha with sugar"
    calls, _ = Talk(clerk, SHORT).say(said)
    assert calls == [("place_order", {"drink": "latte"}), ("place_order", {"drink": "mocha", "extras": "sugar"})]
    item = {
        "type": "object",
        "properties": {"drink": TEXT, "quantity": {"type": "integer"}},
        "required": ["drink", "quantity"],
    }
    calls, _ = Talk(clerk, tool("submit_order", "", ("items",), items={"type": "array", "items": item})).say(said)
    assert calls == [
        ("submit_order", {"items": [{"drink": "latte", "quantity": 1}, {"drink": "mocha with sugar", "quantity": 1}]})
    ]


def test_a_call_that_has_to_be_made_holds_nothing_that_was_not_said(clerk: CharacterMind) -> None:
    for choice in ("required", "place_order"):
        empty = {"drink": "", "size": "", "extras": ""}
        assert Talk(clerk, PLACE, choice=choice).say("a latte")[0] == [("place_order", empty | {"drink": "latte"})]
        assert Talk(clerk, PLACE, choice=choice).say("hello")[0] == [("place_order", empty)]
    assert not Talk(clerk, PLACE, choice="none").say("a latte")[0]
