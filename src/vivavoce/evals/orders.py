"""Spoken orders to measure with: what people say at the counter, what it means, and sentences that are no order.

Stated here once more, apart from the character sheet that training sentences are made from, so that a mistake there
cannot hide itself. The same grammar, written by hand, is what the outside recogniser is given as a yardstick.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from vivavoce.core import rng

OPENINGS = "brew|can i get|can i have|i want|get me|give me|i'd like|make me|may i have".split("|")
DRINKS = "americano|cappuccino|espresso|iced mocha|latte|mocha|coffee|drip coffee|house coffee|iced coffee".split("|")
BEFORE = {
    "size": "small|medium|large|eight ounce|twelve ounce|sixteen ounce|twenty ounce".split("|"),
    "roast": "light roast|medium roast|dark roast".split("|"),
    "numberOfShots": "single shot|double shot|triple shot".split("|"),
}
AMOUNTS = "a little bit of|a bit of|some|a lot of|lots of".split("|")
AFTER = {
    "milkAmount": "milk|skim milk|whole milk|soy milk|almond milk|cream".split("|"),
    "sugarAmount": "sugar|brown sugar|sweetener".split("|"),
}
_OFTEN = {"size": 0.55, "roast": 0.3, "numberOfShots": 0.3, "milkAmount": 0.5, "sugarAmount": 0.4}
_BARE = 0.25
"""Share of milks and sugars that are named without an amount."""

NOT_ORDERS = tuple(
    """
    hello there|good morning|good evening, how are you today|what is your name|who are you|goodbye|thank you very much
    see you tomorrow|what do you have on the menu|how much is a latte|what does a large cappuccino cost
    do you have almond milk|is the espresso strong|what is a mocha|which coffee do you like best|is there any cake
    how is business today|tell me about this tavern|how old is this place|who owns the tavern|what is the weather like
    did anyone ask for me|I am looking for a friend|where can I sit|can you hear me|can you help me
    how do I sound|what did you just say|say that again please|speak slower please|could you speak louder
    please whisper|talk like a grumpy dwarf|talk faster|I have been travelling all day|the road was muddy
    my horse is tired|it was raining in the mountains|are there any dragons around here|have you seen a wizard
    what time do you close|when do you open|where is the nearest inn|is the bridge safe|do you know any stories
    tell me a joke|sing me a song|what is two plus two|who is the king|how far is it to the castle
    I do not like tea|my brother drinks too much coffee|the coffee here smells wonderful|I had a latte yesterday
    my friend never drinks milk|there is sugar on the table|the kettle is boiling|is that the new cook
    repeat after me, the moon is bright|repeat after me, all roads lead home|I am just looking around|never mind
    nothing for me, thank you|I am still thinking|give me a moment|let me think about it|I will be right back
    may I have a look at the menu|can I have a seat by the window|I want to go home|get me a doctor
    make me laugh|give me the key to my room|I would like to know your name|can I get some rest here
    what is in the soup|do you sell bread|how long is the wait|can I pay with silver|keep the change
    that was delicious|it is too loud in here|close the door please|the fire is warm|who is that man over there
    I lost my hat|we are four people|the music is nice|do you live here|where do your beans come from
    is the milk fresh|what makes the house coffee special|do you roast it yourself|how many shots are in an espresso
    what is the difference between a latte and a cappuccino|is skim milk healthier|can you read|what year is it
    """.replace("\n", "|").split("|")
)
NOT_ORDERS = tuple(line.strip() for line in NOT_ORDERS if line.strip())


@dataclass(frozen=True, slots=True)
class Order:
    """A sentence and the slots that it means."""

    text: str
    slots: dict[str, str]


def orders(count: int, seed: int = 0) -> list[Order]:
    """So many different orders; the same seed gives the same ones."""
    draw = rng.stream(seed, "orders")
    made: dict[str, Order] = {}
    while len(made) < count:
        order = _order(draw)
        made.setdefault(order.text, order)
    return list(made.values())


def _order(draw: np.random.Generator) -> Order:
    slots = {name: str(draw.choice(values)) for name, values in BEFORE.items() if draw.random() < _OFTEN[name]}
    words = list(draw.permutation(list(slots.values()))) if slots else []
    slots["coffeeDrink"] = str(draw.choice(DRINKS))
    words.append(slots["coffeeDrink"])
    opening = str(draw.choice(OPENINGS))
    if draw.random() < 0.9:
        opening += " an" if words[0][0] in "aei" and draw.random() < 0.7 else " a"
    extras: list[str] = []
    for name, values in AFTER.items():
        if draw.random() < _OFTEN[name]:
            bare = draw.random() < _BARE
            slots[name] = str(draw.choice(values)) if bare else f"{draw.choice(AMOUNTS)} {draw.choice(values)}"
            extras.append(slots[name])
    if len(extras) == 2 and draw.random() < 0.5:
        extras.reverse()
    ending = f" with {' and '.join(extras)}" if extras else ""
    return Order(f"{opening} {' '.join(words)}{ending}", slots)


def grammar() -> str:
    """All orders as a JSGF grammar."""
    rules = {name: f"({' | '.join(values)})" for name, values in {**BEFORE, **AFTER}.items()}
    some = [f"<{name}>" for name in BEFORE]
    before = [" ".join(chosen) for size in (1, 2, 3) for chosen in permutations(some, size)]
    amount = f"[{' | '.join(AMOUNTS)}]"
    lines = ["#JSGF V1.0;", "grammar orders;", *(f"<{name}> = {rule};" for name, rule in rules.items())]
    lines.append(f"<milk> = {amount} <milkAmount>;")
    lines.append(f"<sweet> = {amount} <sugarAmount>;")
    lines.append("<extras> = with (<milk> | <sweet> | <milk> and <sweet> | <sweet> and <milk>);")
    lines.append(f"<modifiers> = {' | '.join(before)};")
    lines.append(f"public <order> = ({' | '.join(OPENINGS)}) [a | an] [<modifiers>] ({' | '.join(DRINKS)}) [<extras>];")
    return "\n".join(lines) + "\n"


def slots(words: Sequence[str]) -> dict[str, str]:
    """What a sentence of the grammar means: the longest values found, each slot once."""
    text = f" {' '.join(words)} "
    found: dict[str, str] = {}
    front, _, back = text.partition(" with ")
    for name in ("roast", "numberOfShots", "size"):  # "medium roast" is no size
        for value in BEFORE[name]:
            if f" {value} " in front + " ":
                found[name] = value
                front = front.replace(f" {value} ", " ")
                break
    for drink in sorted(DRINKS, key=len, reverse=True):
        if f" {drink} " in front + " ":
            found["coffeeDrink"] = drink
            break
    for part in back.split(" and "):
        phrase = part.strip()
        for name, values in AFTER.items():
            if any(phrase == value or phrase.endswith(f" {value}") for value in values):
                found[name] = phrase
    return found
