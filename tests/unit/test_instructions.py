"""What instructions ask to be said is understood; rules, personas and conditions are nothing to be said."""

import pytest

from vivavoce.assistant.instructions import Directive, asked_of_us, asks_for_name, directives, persona_name, reads_aloud

GREET, OFFER = Directive("greet"), Directive("offer")


def say(text: str) -> Directive:
    return Directive("say", text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Greet the user.", [GREET]),
        ("You are a helpful assistant.\nGreet the user and offer your assistance.", [GREET, OFFER]),
        ("Start by greeting the user warmly and asking how you can help.", [GREET, OFFER]),
        ("Say hello, then ask the user how their day is going.", [GREET, say("How is your day going?")]),
        ("Please introduce yourself to the user.", [Directive("introduce")]),
        ("Say goodbye to the caller", [Directive("goodbye")]),
        ('Say exactly: "Welcome to the shop"', [say("Welcome to the shop")]),
        ("Say 'hello there'", [say("hello there")]),
        ("Say: 'I'm here'", [say("I'm here")]),
        ("Say exactly: Welcome to the Kettle. How can I help?", [say("Welcome to the Kettle. How can I help?")]),
        ("Repeat the following sentence: we close at nine", [say("we close at nine")]),
        ("Greet the user with “Hi, I'm Bob!”", [say("Hi, I'm Bob!")]),
        ('Respond with the word "banana".', [say("banana")]),
        ("Ask the user for their name.", [say("May I have your name?")]),
        ("Ask if they would like milk or sugar", [say("Would you like milk or sugar?")]),
        ("Ask the customer what size they want.", [say("What size do you want?")]),
        ("Ask whether the user is hungry", [say("Are you hungry?")]),
        ("Ask them what their name is", [say("What is your name?")]),
        ("Tell the user that their order is ready and thank them", [say("Your order is ready."), Directive("thank")]),
        ("Tell the user you'll be right back.", [say("I'll be right back.")]),
        ("Apologise for the delay.", [Directive("apologise")]),
        ("Tell the user a joke", [Directive("topic", "a joke")]),
    ],
)
def test_what_is_asked_to_be_said(text: str, wanted: list[Directive]) -> None:
    assert list(directives(text)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "You are a helpful assistant. Be brief and polite.",
        'Never say "no".',
        'If the user is rude, say "Please leave".',
        "When somebody arrives, greet them.",
        "Do not greet the user.",
        "Always ask for a name.",
        "Speak French.",
        "Use the tool order_drink for orders.",
    ],
)
def test_what_is_nothing_to_be_said(text: str) -> None:
    assert directives(text) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("You are a voice. Speak the user's message aloud exactly as written. Do not answer it.", True),
        ("Repeat what the user says word for word.", True),
        ("Read the text verbatim.", True),
        ("You are a helpful assistant. Be brief and polite.", False),
        ("Never repeat the user's words exactly.", False),
        ("Repeat the order back to the customer to confirm it exactly.", False),
        ("Say the following text exactly: we close at nine", False),
        ("Speak clearly, in short words.", False),
    ],
)
def test_a_voice_reads_what_others_write(text: str, wanted: bool) -> None:
    assert reads_aloud(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Greet the user.", True),
        ("Say hello!", True),
        ("Please introduce yourself to the user.", True),
        ("Tell the user that their order is ready.", True),
        ("Hello", False),
        ("I'd like a latte", False),
        ("What does the customer before me have?", False),
    ],
)
def test_a_user_s_message_may_be_the_client_s(text: str, wanted: bool) -> None:
    assert asked_of_us(text) == wanted


def test_a_persona_has_a_name() -> None:
    assert persona_name("You are Ada, a barista.") == "Ada"
    assert persona_name("Your name is Old Tom. Be brief.") == "Old Tom"
    assert persona_name("You are a helpful assistant.") is None
    assert asks_for_name("What's your name?") and asks_for_name("who are you") and not asks_for_name("name a drink")
