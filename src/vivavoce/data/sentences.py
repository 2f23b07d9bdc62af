"""Sentences of many words and sounds, for a listener that must not only know the counter's words."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np

from vivavoce.core import rng
from vivavoce.data.sheet import load_sheet
from vivavoce.data.templates import fill, pick
from vivavoce.text.normalise import normalise
from vivavoce.text.pronounce import dictionary_words

# About the commonest words of English, commonest first; weights fall with the rank as Zipf found.
_COMMON: Final = (
    "the of and to a in is it you that he was for on are with as i his they be at one have this from or had by hot but "
    "some what there we can out other were all your when up use word how said an each she which do their time if will "
    "way about many then them would write like so these her long make thing see him two has look more day could go come "
    "did my sound no most number who over know water than call first people may down side been now find any new work "
    "part take get place made live where after back little only round man year came show every good me give our under "
    "name very through just form much great think say help low line before turn cause same mean differ move right boy "
    "old too does tell sentence set three want air well also play small end put home read hand port large spell add even "
    "land here must big high such follow act why ask men change went light kind off need house picture try us again "
    "animal point mother world near build self earth father head stand own page should country found answer school grow "
    "study still learn plant cover food sun four thought let keep eye never last door between city tree cross since hard "
    "start might story saw far sea draw left late run while press close night real life few stop open seem together next "
    "white children begin got walk example ease paper often always music those both mark book letter until mile river "
    "car feet care second group carry took rain eat room friend began idea fish mountain north once base hear horse cut "
    "sure watch color face wood main enough plain girl usual young ready above ever red list though feel talk bird soon "
    "body dog family direct pose leave song measure state product black short class wind question happen complete ship "
    "area half rock order fire south problem piece told knew pass farm top whole king size heard best hour better true "
    "during hundred am remember step early hold west ground interest reach fast five sing listen six table travel less "
    "morning ten simple several toward war lay against pattern slow center love person money serve appear road map rule "
    "govern pull cold notice voice fall power town fine certain fly unit lead cry dark machine note wait plan figure "
    "star box noun field rest correct able pound done beauty drive stood contain front teach week final gave green quick "
    "develop sleep warm free minute strong special mind behind clear tail produce fact street inch nothing course stay "
    "wheel full force blue object decide surface deep moon island foot yet busy test record boat common gold possible "
    "plane age dry wonder laugh thousand ago ran check game shape yes miss brought heat snow bed bring sit perhaps fill "
    "east weight language among i'm don't it's can't that's didn't you're i'll we're won't isn't wasn't couldn't they've"
).split()
_NAMES: Final = (
    "james mary john patricia robert jennifer michael linda william elizabeth david barbara richard susan joseph jessica "
    "thomas sarah charles karen daniel lisa matthew nancy anthony betty mark margaret donald sandra steven ashley paul "
    "kimberly andrew emily joshua donna kenneth michelle kevin carol brian amanda george melissa edward deborah ronald "
    "stephanie timothy rebecca jason laura jeffrey helen ryan sharon jacob cynthia gary kathleen nicholas amy boston "
    "chicago dallas denver london paris berlin madrid texas ohio oregon florida canada mexico ireland scotland"
).split()
_LETTERS: Final = tuple("abcdefghijklmnopqrstuvwxyz")
_DIGITS: Final = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FRAMES: Final = (
    "the {rare} {common} was {common} and {rare}", "{name} (saw|met|called|asked|told) {name} (about|near|after|before) the {rare}",
    "(I think|we know|they say|he said|she believes) that {rare} {common} (is|are|was) {rare}",
    "(where|when|why|how) (did|does|will) {name} {common} the {rare} {common}",
    "(please|do not|never|always) {common} the {rare} (with|without|under|over) {common} {rare}",
    "(there is|there was) (no|some|a) {rare} {common} in {name}", "{rare} and {rare} {common} (to|for|of) {name}",
    "my {rare} {common} {common} (every|one) (day|night|year|hour)", "{common} {common} {rare} {common}", "{rare} {rare} {rare}",
    "(can I|could you|will you|may I) {common} {common} {rare}", "{rare}", "{common} {rare}", "{common} {common} {common} {common} {common}",
    "{rare} {common} {common} {rare} {common} {common} {rare}", "it {common} {rare} {common} (but|and|or|because) {name} {common} {rare}",
)  # fmt: skip


@cache
def _rare() -> list[str]:
    """Dictionary words that a synthesis program and a person would read alike: plain letters, three to twelve."""
    return [word for word in dictionary_words() if word.isalpha() and word.isascii() and 3 <= len(word) <= 12]


@cache
def _weights() -> np.ndarray:
    weights = 1.0 / np.arange(3, len(_COMMON) + 3)
    return weights / weights.sum()


def word(draw: np.random.Generator, common: float = 0.7) -> str:
    """A word: of the commonest with that probability, weighted by rank, else any of the dictionary."""
    if draw.random() < common:
        return _COMMON[int(draw.choice(len(_COMMON), p=_weights()))]
    return pick(_rare(), draw)


def _numbers(draw: np.random.Generator) -> str:
    kind = int(draw.integers(4))
    if kind == 0:
        return " ".join(pick(list(_DIGITS), draw) for _ in range(int(draw.integers(1, 9))))
    if kind == 1:
        return " ".join(normalise(str(int(10 ** draw.uniform(0, 6)))))
    if kind == 2:
        return " ".join(normalise(f"${draw.integers(1, 60)}.{draw.integers(0, 20) * 5:02d}"))
    return " ".join(normalise(f"{draw.integers(1, 13)}:{draw.integers(0, 60):02d}"))


def _spelled(draw: np.random.Generator) -> str:
    if draw.random() < 0.5:
        return " ".join(pick(list(_LETTERS), draw) for _ in range(int(draw.integers(1, 7))))
    name = pick(_NAMES, draw)
    return f"{name} {' '.join(name)}"


def sentence(draw: np.random.Generator) -> str:
    """One sentence of normalised words: frames with rare words, plain word rows, numbers, letters, spoken lines."""
    chance = draw.random()
    if chance < 0.12:
        return _numbers(draw)
    if chance < 0.2:
        return _spelled(draw)
    if chance < 0.3:
        sheet = load_sheet()
        numbers = {"number": pick(sheet.texts("lists", "number"), draw)}
        return " ".join(normalise(fill(pick(sheet.texts("lines"), draw), numbers, draw)))
    if chance < 0.5:
        return " ".join(word(draw, 0.55) for _ in range(int(draw.integers(2, 11))))
    frame = pick(list(_FRAMES), draw)
    while "{" in frame:  # every place is filled anew, so a frame with two rare words gets two different ones
        for name, make in (
            ("rare", lambda: word(draw, 0.0)),
            ("common", lambda: word(draw, 1.0)),
            ("name", lambda: pick(_NAMES, draw)),
        ):
            frame = frame.replace(f"{{{name}}}", make(), 1)
    return " ".join(normalise(fill(frame, {}, draw)))


def sentences(count: int, seed: int) -> Iterator[str]:
    """So many sentences of the stream of this seed."""
    draw = rng.stream(seed, "sentences")
    for _ in range(count):
        yield sentence(draw)
