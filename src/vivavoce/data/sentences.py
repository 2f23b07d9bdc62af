"""Sentences of many words and sounds, for a listener that must not only know the counter's words."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import yaml

from vivavoce.core import rng
from vivavoce.data.sheet import load_sheet
from vivavoce.data.templates import fill, pick
from vivavoce.text.dictionary import dictionary_words
from vivavoce.text.normalise import normalise

LETTERS: Final = tuple("abcdefghijklmnopqrstuvwxyz")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DIGITS: Final = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def _words() -> dict[str, list[str]]:
    """Common words (commonest first), names and sentence frames."""
    data = yaml.safe_load(Path(__file__).with_name("sheets").joinpath("words.yaml").read_text())
    return {"common": data["common"].split(), "names": data["names"].split(), "frames": data["frames"]}


@cache
def _everyday() -> tuple[list[str], list[str]]:
    """Single words and short phrases, and templates of lines."""
    data = yaml.safe_load(Path(__file__).with_name("sheets").joinpath("everyday.yaml").read_text())
    return [word.strip() for word in data["words"].split("|")], data["lines"]


@cache
def _rare() -> list[str]:
    """Dictionary words that a synthesis program and a person would read alike: plain letters, three to twelve."""
    return [word for word in dictionary_words() if word.isalpha() and word.isascii() and 3 <= len(word) <= 12]


@cache
def _weights() -> np.ndarray:
    """Falling with the rank, as Zipf found."""
    weights = 1.0 / np.arange(3, len(_words()["common"]) + 3)
    return weights / weights.sum()


def word(draw: np.random.Generator, common: float = 0.7) -> str:
    """A word: of the commonest with that probability, weighted by rank, else any of the dictionary."""
    if draw.random() < common:
        return _words()["common"][int(draw.choice(len(_weights()), p=_weights()))]
    return pick(_rare(), draw)


def any_name(draw: np.random.Generator) -> str:
    """A word such as names are: of the list of names or of the dictionary's words, three to ten letters."""
    while True:
        name = pick(_words()["names"] if draw.random() < 0.3 else _rare(), draw)
        if name.isalpha() and len(name) <= 10:
            return name


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
        return " ".join(pick(list(LETTERS), draw) for _ in range(int(draw.integers(1, 7))))
    name = pick(_words()["names"], draw)
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
    frame = pick(_words()["frames"], draw)
    while "{" in frame:  # every place is filled anew, so a frame with two rare words gets two different ones
        for name, make in (
            ("rare", lambda: word(draw, 0.0)),
            ("common", lambda: word(draw, 1.0)),
            ("name", lambda: pick(_words()["names"], draw)),
        ):
            frame = frame.replace(f"{{{name}}}", make(), 1)
    return " ".join(normalise(fill(frame, {}, draw)))


def short(draw: np.random.Generator) -> str:
    """What is said alone: a word that stops or answers somebody, a name, a number."""
    chance = draw.random()
    if chance < 0.7:
        return pick(_everyday()[0], draw)
    if chance < 0.8:
        return pick(_words()["names"], draw)
    return _numbers(draw)


def everyday(draw: np.random.Generator) -> str:
    """A line of a day that has nothing to do with a counter."""
    line = pick(_everyday()[1], draw)
    for name, make in (
        ("name", lambda: pick(_words()["names"], draw)),
        ("day", lambda: pick(list(_DAYS), draw)),
        ("number", lambda: " ".join(normalise(str(int(draw.integers(1, 60)))))),
    ):
        while f"{{{name}}}" in line:
            line = line.replace(f"{{{name}}}", make(), 1)
    return " ".join(normalise(fill(line, {}, draw)))


def sentences(count: int, seed: int) -> Iterator[str]:
    """So many sentences of the stream of this seed."""
    draw = rng.stream(seed, "sentences")
    for _ in range(count):
        yield sentence(draw)
