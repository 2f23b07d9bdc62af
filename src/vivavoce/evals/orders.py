"""Spoken orders to measure with: what people say at the counter, what it means, and sentences that are no order.

Orders are stated here once more, apart from the character sheet that training sentences are made from, so that a
mistake there cannot hide itself. The same grammar, written by hand, is what the outside recogniser is given as a
yardstick.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from vivavoce.core import rng
from vivavoce.data.character import Character

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

_WRITTEN = """
the bridge was washed away in the spring|our wagon lost a wheel on the hill
my sister lives on the other side of the lake|nobody told us that the gate would be shut
the blacksmith wants his hammer back|we walked for nine days without seeing a soul|I think your clock has stopped
somebody left an umbrella by the stairs|the children are asleep in the cart|did the post arrive this morning
is it true that the mayor is ill|what happened to the old sign above the door|how many people live in this valley
could you tell me which way the harbour is|when does the ferry leave for the islands
who painted the picture over there|why is everybody whispering tonight|where did you learn to play the lute
would you mind opening a window|can anyone here mend a torn coat|do your hens lay well in winter
I hope he doesn't work too hard|the professor wrote three letters to the bank|seven hundred soldiers crossed the river
please put another log on the fire|hang my coat near the stove|wake me when the sun comes up
turn the lamp down a little|let my brother know that we arrived|keep an eye on the horses|you have a lovely garden
that was the best stew of my life|the roof leaks above our beds|there was frost on the fields this morning
a hawk is circling over the barn|the apples are ripe already|my doctor says that coffee keeps me awake
his latte went cold while he was talking|she wiped the espresso off the counter
an americano would be wasted on my cousin|we sell more cappuccino in winter, the merchant told me
the mocha in the harbour town tasted of salt|no one in my family ever touched iced coffee|milk turns sour in this heat
sugar has become dear since the war|the cream came from our own cows|was the latte invented by monks
does the dark roast come from the southern hills|who drinks a triple shot at midnight|I read a long book about coffee
too much sweetener gives my wife a headache|almond milk is made without a cow, imagine that
our cook burned the whole milk again|I can still smell the light roast on my gloves
the drip coffee machine makes a strange noise|some brown sugar fell behind the shelf
a small boy ran past with a large dog|the twelve ounce hammer is too light for this
eight ounces of silver were stolen last night|he took a single shot and missed the stag
a double dose of courage is what he needs|can I get past you to the stairs|can I have a word with the landlord
may I have the honour of this dance|give me one good reason to stay|give me back my boots, you scoundrel
get me out of these wet clothes|get me a rope, she is falling|I want my mother to see this place
I want you to hear what the bard wrote|I'd like to be left alone for a while|I'd like to know how far the border is
make me an offer for the grey mare|make me proud, he said, and rode away|can I get you to sign this paper
may I have a receipt for the room|can I have the same table as yesterday|get me up before the market opens
give me the name of your tailor|I want to hear the end of that story|I'd like my change in small coins
brew up a storm, the sailor shouted|what a dreadful night to be on the road|how was the harvest in the north
were you here when the tower burned|have they caught the thief yet|is there a healer in the next village
are the mountain passes open again|sixteen riders came through at noon|twenty sheep are missing from the upper field
a little bit of rain never hurt anyone|a lot of people are afraid of the forest|some of us have to work tomorrow
lots of snow fell on the pass
""".replace("\n", "|")


_ALL_TAUGHT = frozenset("last_reply last_user my_order owe cancel yes no incomplete".split())
"""Kinds of talk of which the character holds no sentence back."""


def not_orders(talk: int = 60, seed: int = 0) -> list[str]:
    """Sentences that are no order and that no training has seen: written here, and held-out talk of the character.

    The written ones are about other things, name what is on the menu without ordering it, or begin like orders; a test
    holds that the character's training talk has none of them.
    """
    found = dict.fromkeys(line.strip() for line in _WRITTEN.split("|") if line.strip())
    written = len(found)
    for turn in Character(held_out=True).talk(100 * talk, seed):
        if len(found) - written == talk:
            break
        if turn.kind not in _ALL_TAUGHT and len(turn.user.split()) > 3:  # shorter ones are never held out
            found[turn.user] = None
    return list(found)


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
