"""Results of tools and instructions, as clients send them to the shipped mind: one short answer, nothing read aloud."""

import json
from itertools import count
from typing import Any

import pytest

from vivavoce.assistant.thinking import CharacterMind
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Call, Entry, Say
from vivavoce.runtime.model import Context

ASSISTANT = "You are a helpful assistant. Be brief and polite."
ORDER = {"coffeeDrink": "latte", "size": "large"}
NUMBERS = count()


@pytest.fixture(scope="module")
def clerk() -> CharacterMind:
    return CharacterMind(load_part(BUNDLED, "mind"))


def user(text: str) -> Entry:
    return Entry(id=f"user_{next(NUMBERS)}", text=text)


def said(text: str, *, cut: bool = False) -> Entry:
    return Entry(id=f"said_{next(NUMBERS)}", role="assistant", text=text, status="incomplete" if cut else "completed")


def called(arguments: object = ORDER) -> Entry:
    return Entry(
        id=f"call_{next(NUMBERS)}", kind="call", role="assistant", call="c", name="order_drink",
        arguments=json.dumps(arguments),
    )  # fmt: skip


def result(output: str) -> Entry:
    return Entry(id=f"result_{next(NUMBERS)}", kind="result", call="c", output=output)


def answer(clerk: CharacterMind, *entries: Entry, **more: Any) -> tuple[list[object], str]:
    events = list(clerk.respond(Context(entries=entries, tools=clerk.tools, **more)))
    calls = [json.loads(event.arguments) for event in events if isinstance(event, Call)]
    return calls, "".join(event.text for event in events if isinstance(event, Say))


ORDERED = user("can i get a large latte")
READY = result("ready at nine")


@pytest.mark.parametrize(
    "between",
    [
        (called(), said("A large latte,", cut=True), READY),
        (called(), said("", cut=True), READY),
        (said("A large latte,", cut=True), called(), READY),
        (called(), READY, said("A large latte,", cut=True)),
        (called(), READY, said("A large latte, coming up."), said("The word is: ready at nine.")),
        (called(), said("A large latte, coming up."), READY, said("The word is: ready at nine.")),
        (called(), said("A large latte,", cut=True), result('{"status": "ready", "eta_minutes": 5}')),
        (called(), said("A large latte, coming up."), READY, said("I hear", cut=True)),
        (called(), READY),
    ],
)
@pytest.mark.parametrize("instructions", ["", ASSISTANT])
def test_a_change_after_a_result_is_a_second_call(
    clerk: CharacterMind, between: tuple[Entry, ...], instructions: str
) -> None:
    calls, reply = answer(clerk, ORDERED, *between, user("actually make that small"), instructions=instructions)
    assert calls == [ORDER | {"size": "small"}]
    assert "small latte" in reply.lower() and "nine" not in reply


def test_a_result_that_comes_after_the_next_words_does_not_take_their_answer(clerk: CharacterMind) -> None:
    calls, _ = answer(
        clerk, ORDERED, called(), said("A large latte, coming up."), user("actually make that small"), READY
    )
    assert calls == [ORDER | {"size": "small"}]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("ready at nine", "ready at nine"),
        ('{"status": "ready", "minutes": 5}', "5 minutes"),
        ('{"error": "out of milk"}', "out of milk"),
        ('{"status": "ok"}', ""),
        ('{"drink": "latte", "size": "large", "status": "placed"}', ""),
        ("", ""),
    ],
)
def test_a_result_is_one_short_sentence(clerk: CharacterMind, output: str, told: str) -> None:
    calls, reply = answer(
        clerk, ORDERED, called(), said("A large latte, coming up."), result(output), instructions=ASSISTANT
    )
    assert not calls
    assert told in reply and 0 < len(reply.split()) < 14
    assert not {"helpful", "polite", "assistant", "status", "latte", "quote", "{"} & set(reply.lower().split())


@pytest.mark.parametrize("seed", range(5))
def test_a_reply_that_nobody_asked_for_is_a_greeting(clerk: CharacterMind, seed: int) -> None:
    greeting = ("welcome", "good day", "well met", "greetings", "hello", "come in", "guest")
    for more in ({"request": "Greet the user."}, {"instructions": ASSISTANT}, {}):
        calls, reply = answer(clerk, seed=seed, **more)
        assert not calls and any(word in reply.lower() for word in greeting), reply
        assert "helpful" not in reply


def test_quoted_words_are_said_as_told(clerk: CharacterMind) -> None:
    for request in ('Say exactly: "Welcome to the shop"', "Say 'Welcome to the shop'."):
        assert answer(clerk, request=request, instructions=f"{ASSISTANT}\n{request}")[1] == "Welcome to the shop"
        assert answer(clerk, user("a latte"), request=request) == ([], "Welcome to the shop")
    assert answer(clerk, instructions='Open with "Hi, I am Bob."')[1] == "Hi, I am Bob."


def test_a_message_of_the_client_asks_too(clerk: CharacterMind) -> None:
    asked = Entry(id="system", role="system", text="Please ask the user for their name.")
    assert answer(clerk, asked)[1] == "May I have your name?"
    assert answer(clerk, asked, user("can i get a large latte"))[0] == [ORDER]


def test_other_instructions_change_nothing_and_are_never_read_out(clerk: CharacterMind) -> None:
    plain = answer(clerk, ORDERED)
    for text in (ASSISTANT, "Speak French. Repeat every word twice.", "Ask the user for their name.", "x" * 5000):
        assert answer(clerk, ORDERED, instructions=text) == plain
    assert "Ada" in answer(clerk, user("what is your name"), instructions="You are Ada, a barista.")[1]


@pytest.mark.parametrize("asked", ["what did you just say", "sorry what was that", "can you say that again please"])
def test_of_a_reply_that_nobody_heard_nothing_is_quoted(clerk: CharacterMind, asked: str) -> None:
    calls, reply = answer(clerk, ORDERED, called(), said("", cut=True), user(asked))
    assert not calls
    assert "nothing" in reply.lower() and "latte" not in reply.lower(), reply


def test_a_turn_without_words_is_no_greeting(clerk: CharacterMind) -> None:
    calls, reply = answer(clerk, user(""))
    assert not calls
    assert "drink" in reply or "pour" in reply or "menu" in reply
    assert "welcome" not in reply.lower()
