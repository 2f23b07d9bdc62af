"""Text for the ear: without Markdown, lists, emoji and what models think to themselves, while it is written."""

import re

_BEGIN, _END = "<think>", "</think>"
_AT_LINE_START = re.compile(r"#{1,6}|[-*+•–]|\d{1,2}[.)]|\|[-:|]*|`{3}\w*|>|-{3,}|\*{3,}")
_MARKS = re.compile(r"\*\*|__|`+|~~|(?<!\w)[*_]+(?=\w)|(?<=\w)[*_]+(?!\w)|!?\[(?=[^\]]*)|\]\([^)\s]*\)|\|")
_EMOJI = re.compile("[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d]+")
_LONGEST_CIRCLE, _TIMES, _TIMES_A_WORD = 8, 3, 5
"""Up to so many words in a row are no accident three times, nor is one word five times."""
_WORD_CIRCLE = re.compile(r"(\S{1,12}?)\1{15}\Z")
"""A word that never ends: the same letters sixteen times in a row."""
_SENTENCE = re.compile(r"[.!?…][\"'”’)]*\Z")
_ABBREVIATED = frozenset(
    "mr. mrs. ms. dr. st. vs. e.g. i.e. etc. no. prof. u.s. jr. sr. inc. a.m. p.m. approx.".split()
)


class Thoughtless:
    """Text without what models write between ``<think>`` and ``</think>``, given out up to the last whole word."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._waiting = ""
        self._thinks = False
        self._begun = False

    def more(self, text: str) -> str:
        """What can be said now."""
        self._waiting += text
        given = ""
        while True:
            mark = _END if self._thinks else _BEGIN
            before, found, after = self._waiting.partition(mark)
            if not found:
                break
            given += "" if self._thinks else before
            self._waiting, self._thinks = after, not self._thinks
        if self._thinks:
            self._waiting = self._waiting[-len(_END) :]
            return self._trimmed(given)
        cut = max(self._waiting.rfind(" "), self._waiting.rfind("\n")) + 1
        given += self._waiting[:cut]
        self._waiting = self._waiting[cut:]
        return self._trimmed(given)

    def rest(self) -> str:
        """The last word."""
        rest, self._waiting = "" if self._thinks else self._waiting, ""
        return self._trimmed(rest)

    @property
    def waiting(self) -> str:
        """The word that has begun, or the end of a thought."""
        return self._waiting

    def _trimmed(self, text: str) -> str:
        text = text if self._begun else text.lstrip()
        self._begun = self._begun or bool(text)
        return text


class Plain:
    """Whole words as they are to be said; `sentences` counts those that are complete."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._words = Thoughtless()
        self._line_start = True
        self._last = ""
        self._sentence: list[str] = []
        self._said: set[str] = set()
        self.sentences = 0
        self.characters = 0
        self.repeats = False
        """Whether a sentence was one that had been said before, or some words or letters came again and again."""

    def more(self, text: str) -> str:
        """What can be said now."""
        made = self._read(self._words.more(text))
        self.repeats = self.repeats or _WORD_CIRCLE.search(self._words.waiting) is not None
        return made

    def rest(self) -> str:
        """The last word."""
        return self._read(self._words.rest()).rstrip()

    def _read(self, text: str) -> str:
        made = ""
        for word, space in re.findall(r"(\S*)(\s*)", text):
            if word:
                made += self._word(word)
            if "\n" in space:
                made += self._line_end()
                self._line_start = True
            elif space and made and not made.endswith(" "):
                made += " "
        self.characters += len(made)
        return made

    def _word(self, word: str) -> str:
        if self._line_start and _AT_LINE_START.fullmatch(word):
            return ""
        plain = _EMOJI.sub("", _MARKS.sub("", word))
        if not plain:
            return ""
        self._line_start = False
        self._last = plain
        self._sentence.append(plain)
        self.repeats = self.repeats or _circles(self._sentence)
        if _SENTENCE.search(plain) and plain.lower() not in _ABBREVIATED and len(plain) > 2:
            self._sentence_end()
        return plain

    def _line_end(self) -> str:
        """A line that ends without a sign is a sentence of its own."""
        if not self._last or not self._sentence:
            return " "
        stop = "" if self._last[-1] in ",;:" else "."
        self._sentence_end()
        return f"{stop} "

    def _sentence_end(self) -> None:
        self.sentences += 1
        sentence = " ".join(self._sentence).lower()
        self.repeats = self.repeats or sentence in self._said
        self._said.add(sentence)
        self._sentence = []


def _circles(words: list[str]) -> bool:
    """Whether a sentence ends with the same few words several times in a row."""
    for size in range(1, _LONGEST_CIRCLE + 1):
        times = _TIMES if size > 1 else _TIMES_A_WORD
        end = words[-size * times :]
        if len(end) == size * times and end[size:] == end[:-size]:
            return True
    return False
