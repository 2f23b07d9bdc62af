"""From written to spoken words, token by token: what stands at a place in the text, and how it is said.

Every rule looks at one place: a pattern that must match there, and what is said for it, or None where the rule finds
that it does not apply. Patterns end at the phrase that is read, so a rule never knows more than what has been decided.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vivavoce.core.errors import TextError
from vivavoce.text import markup, numbers
from vivavoce.text.folding import SKIP
from vivavoce.text.pronounce import known
from vivavoce.text.written import (
    BEFORE_NUMBERS,
    CAPITAL_WORDS,
    COUNTED,
    CURRENCY_ALONE,
    FRACTION_SIGNS,
    GREEK_NAMES,
    INSIDE,
    KINGS,
    LEFT_IN_ADDRESSES,
    MONEY,
    MONTH_NAMES,
    MONTHS,
    NOTES,
    ONLY_AS_WRITTEN,
    SAID_AS_WORDS,
    SCALES,
    SHORT_WORDS,
    SIGNS,
    SPELLED,
    SQUARED,
    STARTERS,
    STATES,
    STREETS,
    SUFFIXES,
    TITLES,
    UNITS,
    WEEKDAYS,
    WIDE_LETTERS,
    WITHOUT_STOP,
    may_be_short,
)

MARKS: Final = frozenset(",.?!")


@dataclass(frozen=True, slots=True)
class Token:
    """Characters [begin, end) of the text and what is said for them: words in lower case and the marks ``, . ? !``.

    "a." is the name of the letter; ``pause`` is a silence in seconds that the text asks for after them.
    """

    begin: int
    end: int
    said: tuple[str, ...]
    pause: float = 0.0


@dataclass(slots=True)
class Around:
    """What a phrase's reading needs to know of the text before it."""

    document: bool = False
    """Whether we are in a ``<speak>`` document."""
    quoted: bool = False
    """Whether a straight quotation mark is open."""
    opening: bool = True
    """Whether a sentence begins here."""
    dropped: set[str] = field(default_factory=set)
    """Names of tags that were left out."""


Say = Callable[["Scan", re.Match[str]], "Sequence[str] | None"]


class Scan:
    """One phrase while it is read."""

    def __init__(self, text: str, begin: int, end: int, around: Around, sentence: bool = True) -> None:
        """``text`` is folded; what stands before the phrase may be looked at, what stands after it not.

        ``sentence``: whether it is the last phrase of one.
        """
        self.text, self.begin, self.at, self.end, self.around, self.sentence = text, begin, begin, end, around, sentence
        self.tokens: list[Token] = []
        self.numeric = False
        """Whether the last token was a number."""
        self.capital = ""
        """The last token, where it was a word with a capital letter."""
        self._shouted: bool | None = None

    def run(self) -> list[Token]:
        """The phrase's tokens; TextError for letters that nobody here can read."""
        text, end = self.text, self.end
        while self.at < end:
            char = text[self.at]
            if char.isspace() or char == SKIP:
                self.at += 1
                continue
            for pattern, say in _rules_for(char):
                found = pattern.match(text, self.at, end)
                if found is not None and (said := say(self, found)) is not None:
                    self.put(found.end(), said)
                    break
            else:
                self.put(self.at + 1, self._sign(char))
        return _letters(self.tokens, text, self.around.opening)

    def put(self, end: int, said: Sequence[str], pause: float = 0.0) -> None:
        """What stands up to ``end`` is said so; nothing where something else has been put there already."""
        if end <= self.at:
            return
        if said or pause:
            self.tokens.append(Token(self.at, end, tuple(said), pause))
            written = self.text[self.at : end]
            self.numeric = written[-1].isdigit() or written[0].isdigit()
            self.capital = written if written[0].isupper() else ""
        self.at = end

    def before(self, count: int = 1) -> str:
        """The characters just before, fewer at the text's beginning."""
        return self.text[max(0, self.at - count) : self.at]

    @property
    def apart(self) -> bool:
        """Whether a space, an opening sign or nothing stands before."""
        return self.at == 0 or self.text[self.at - 1] in " \n\t([{\"'=:*_~<>|,/" or self.text[self.at - 1] == SKIP

    @property
    def line_begins(self) -> bool:
        """Whether nothing but spaces and quotation arrows stands before on the line."""
        at = self.at - 1
        while at >= 0 and self.text[at] in " \t>":
            at -= 1
        return at < 0 or self.text[at] == "\n"

    def shouted(self) -> bool:
        """Whether the phrase has words in capitals that nobody would spell."""
        if self._shouted is None:
            capitals = _CAPITALS.findall(self.text, self.begin, self.end)
            ordinary = [word for word in capitals if _ordinary(word)]
            lower = _LOWER.findall(self.text, self.begin, self.end)
            self._shouted = bool(ordinary) and (len(ordinary) > 1 or not lower)
        return self._shouted

    def _sign(self, char: str) -> Sequence[str]:
        if char in MARKS:
            return [char]
        if char in ";:—":
            return [","]
        if char in CURRENCY_ALONE:
            return CURRENCY_ALONE[char].split()
        if char in SIGNS:
            return SIGNS[char].split()
        if char in FRACTION_SIGNS:
            return numbers.fraction(*FRACTION_SIGNS[char])
        if char.isascii():
            return []
        kind = unicodedata.category(char)
        plain = unicodedata.normalize("NFKD", char)
        if plain != char and plain.isascii() and plain.isalnum():
            return [] if char in "™®" else spelled(plain) if not plain.isdigit() else numbers.amount(plain)
        if kind[0] in "LN":
            name = unicodedata.name(char, "unknown").split()[0].lower()
            raise TextError(
                f"the text has {char!r} ({name} script) in it and only English in Latin letters can be read; "
                "write it in Latin letters"
            )
        return []


_CAPITALS: Final = re.compile(r"\b[A-Z]{2,}\b")
_LOWER: Final = re.compile(r"\b[a-z]{2,}\b")


# ---- words ---------------------------------------------------------------------------------------------------------


def spelled(letters: str) -> list[str]:
    """Letters and digits one by one."""
    return [
        "a." if char in "aA" else char.lower() if char.isalpha() else numbers.digits(char)[0]
        for char in letters
        if char.isascii() and char.isalnum()
    ]


def _ordinary(word: str) -> bool:
    """Whether a word in capitals is said as a word by everybody."""
    lower = word.lower()
    if word in SPELLED or word in CAPITAL_WORDS:
        return False
    return lower in SHORT_WORDS or (len(word) > 3 and bool(set(word) & set("AEIOUY")) and known(lower))


def _is_acronym(scan: Scan, word: str) -> bool:
    """Whether capitals are to be spelled."""
    if word in SAID_AS_WORDS:
        return False
    if word in CAPITAL_WORDS:
        return not scan.shouted()
    if word in SPELLED or not set(word) & set("AEIOUY"):
        return len(word) <= 6
    if word.lower() in SHORT_WORDS or scan.shouted():
        return False
    return len(word) <= 4 and not known(word.lower())


_L: Final = "A-Za-z" + "".join(WIDE_LETTERS)
_WORD: Final = re.compile(rf"'*(?:[{_L}](?:[{_L}']|{SKIP}|&apos;|&#39;)*|'+)")
_CLIPPED: Final = frozenset({"'em", "'til", "'tis", "'twas", "'bout", "'cause", "o'"})


def _say_word(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    token = found[0].replace(SKIP, "").replace("&apos;", "'").replace("&#39;", "'")
    for wide, plain in WIDE_LETTERS.items() if not token.isascii() else ():
        token = token.replace(wide, plain)
    return _word(scan, token)


def _word(scan: Scan, token: str) -> list[str]:
    """One written word: initials are spelled, quotation marks go."""
    bare = token.strip("'")
    if bare == "AD" and (scan.numeric or _next_word(scan, scan.at + len(token))[:1].isdigit()):
        return ["a.", "d"]
    if len(bare) > 1:
        stem, ending = (
            (bare[:-2], "'s") if bare.endswith("'s") else (bare[:-1], "s") if bare.endswith("s") else (bare, "")
        )
        if stem == "PhD":
            return [*spelled(stem), *(["s"] if ending else [])]
        if stem.isupper() and len(stem) > 1 and _is_acronym(scan, stem):
            letters = spelled(stem)
            return [*letters[:-1], letters[-1].rstrip(".") + "'s"] if ending else letters
        if bare[:1] == "i" and bare[1].isupper():
            return ["i", *_word(scan, bare[1:])] if bare[2:3].islower() else ["i", *spelled(bare[1:])]
    word = token.lower()
    if word == "'n'":
        return ["and"]
    if word not in _CLIPPED:
        word = word.strip("'") if not word.endswith("s'") else word.lstrip("'")
    return [word] if word else []


def _letters(tokens: list[Token], text: str, opening: bool) -> list[Token]:
    """The article in a row of single letters is the letter: "x a b"."""
    single = [token.end - token.begin == 1 and text[token.begin].isalpha() for token in tokens]
    article = [alone and text[token.begin] in "aA" for alone, token in zip(single, tokens, strict=True)]
    other = [alone and text[token.begin] not in "aAiI" for alone, token in zip(single, tokens, strict=True)]
    made = list(tokens)
    for index, token in enumerate(tokens):
        if article[index] and token.said == ("a",):
            before = index > 0 and (other[index - 1] or made[index - 1].said == ("a.",))
            after = index + 1 < len(tokens) and other[index + 1]
            if before or (after and index == 0 and opening):
                made[index] = Token(token.begin, token.end, ("a.",), token.pause)
    return made


# ---- short forms ---------------------------------------------------------------------------------------------------

_DOTTED: Final = re.compile(
    r"(?:[A-Za-z]\.){1,8}[A-Za-z]?(?![A-Za-z])|[A-Za-z]{1,8}\.(?:[A-Za-z]{1,3}\.?)?(?![A-Za-z0-9])"
)
_NEXT_WORD: Final = re.compile(r"[ \n\"'(\[*_]*([A-Za-z']+|\S?)")


def _next_word(scan: Scan, at: int) -> str:
    found = _NEXT_WORD.match(scan.text, at, scan.end)
    return found[1] if found else ""


def street(after_capital: str, next_word: str, short: str) -> bool:
    """Whether "St." or "Dr." is a street and no saint or doctor."""
    named = bool(after_capital) and after_capital.lower().rstrip(".,") not in STARTERS | _BEFORE_SAINTS
    if short == "dr":
        return named and not (next_word[:1].isupper() and next_word.lower() not in STARTERS)
    return named


_BEFORE_SAINTS: Final = frozenset("mount port fort bay lake sault east west north south mt ft in near by".split())


def _say_dotted(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    name = written.lower().removesuffix(".")
    stop = written.endswith(".")
    after = _next_word(scan, found.end())
    if stop and name.isalpha() and len(name) > 1 and not may_be_short(written[:-1]):
        return None
    if name in STREETS and stop:
        return [STREETS[name][street(_capital_before(scan), after, name)]]
    if name in BEFORE_NUMBERS and stop and after[:1].isdigit() and not (len(name) == 1 and written[0].isupper()):
        return [BEFORE_NUMBERS[name]]
    if name in TITLES and stop and (after[:1].isupper() or name in {"mr", "mrs", "ms", "messrs", "prof"}):
        return [TITLES[name]]
    if name in INSIDE and stop:
        return INSIDE[name].split()
    if (
        name in WEEKDAYS
        and stop
        and written[0].isupper()
        and (after[:1] == "," or after[:1].isdigit() or after.lower().rstrip(".") in MONTHS)
    ):
        return [WEEKDAYS[name]]
    if name in STATES and stop and written[0].isupper() and scan.before(2) == ", ":
        return [STATES[name]]
    if name in SUFFIXES and stop and (name != "al" or scan.before(3) == "et "):
        return ["a." if word == "a." else word for word in SUFFIXES[name].split()]
    if re.fullmatch(r"(?:[A-Za-z]\.)+[A-Za-z]?", written):
        letters = written.replace(".", "")
        if len(letters) > 1:
            return spelled(letters)
        return spelled(letters) if written[0].isupper() and after[:1].isupper() else None
    return None


def _capital_before(scan: Scan) -> str:
    if not scan.tokens or scan.text[scan.tokens[-1].end : scan.at].strip():
        return ""
    last = scan.tokens[-1]
    written = scan.text[last.begin : last.end]
    return written if written[0].isupper() or re.fullmatch(r"\d+(?:st|nd|rd|th)", written) else ""


_BARE: Final = re.compile(r"(?:Mr|Mrs|Dr|Prof|[Vv]s|etc|Jan|Feb|Sept)(?![A-Za-z'.])", re.IGNORECASE)


def _say_bare(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    name = found[0].lower()
    if name == "dr" and street(_capital_before(scan), _next_word(scan, found.end()), "dr"):
        return ["drive"]
    if name in WITHOUT_STOP:
        return ["doctor"] if name == "dr" else (TITLES | INSIDE | SUFFIXES)[name].split()
    return None


_WITH: Final = re.compile(r"w/o?(?=[\s]|o\b)|w/o\b")


def _say_with(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return ["without" if found[0].endswith("o") else "with"] if scan.apart else None


_ROMAN: Final = re.compile(r"([IVXLC]+)(?![A-Za-z'])")


def _say_roman(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    value = numbers.roman(found[1])
    last = _capital_before(scan)
    counted = last in COUNTED or (
        bool(scan.tokens) and scan.text[scan.tokens[-1].begin : scan.tokens[-1].end] in COUNTED
    )
    if not value or not (last or counted) or scan.before() not in " \n":
        return None
    if last in KINGS and (len(found[1]) > 1 or found[1] in "VX" or _next_word(scan, found.end()) in {"of", "was"}):
        return ["the", *numbers.ordinal(value)]
    if counted or (len(found[1]) > 1 and last and value < 40 and last.lower() not in STARTERS and not last.isupper()):
        return numbers.cardinal(value)
    return None


_SHARP: Final = re.compile(r"([A-Za-z])(\+\+|#)(?!\w)|([A-F])\+(?![\w+])")


def _say_sharp(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[3]:
        return [*spelled(found[3]), "plus"]
    return [*spelled(found[1]), *(["plus", "plus"] if found[2] == "++" else ["sharp"])]


_AMPERSAND: Final = re.compile(r"[A-Z]{1,3}&[A-Z]{1,3}(?![A-Za-z])")


def _say_ampersand(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    first, second = found[0].split("&")
    return [*spelled(first), "and", *spelled(second)]


_MIXED: Final = re.compile(
    r"(?=[A-Za-z-]{0,40}\d)[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*(?![A-Za-z0-9])"
    r"|\d+[A-Za-z]+[A-Za-z0-9]*(?![A-Za-z0-9])"
)
_RUNS: Final = re.compile(r"[A-Za-z]+|\d+")
_VERSION_LETTER: Final = re.compile(r"[vV]\.?\s?(\d+(?:\.\d+)*)(?![A-Za-z0-9])")


def _say_mixed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    if not (any(c.isdigit() for c in written) and any(c.isalpha() for c in written)):
        return None
    said: list[str] = []
    for run in _RUNS.findall(written):
        if run.isdigit():
            said += numbers.amount(run)
        elif (
            len(run) < 3
            or (run.isupper() and run not in SAID_AS_WORDS and not _ordinary(run))
            or not set(run.lower()) & set("aeiouy")
        ):
            said += spelled(run)
        else:
            said += _word(scan, run)
    return said


def _say_version(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return ["version", *_pointed(found[1])]


def _pointed(written: str) -> list[str]:
    first, *rest = written.split(".")
    return [*numbers.amount(first), *(word for part in rest for word in ["point", *numbers.amount(part)])]


_GREEK: Final = re.compile(r"[Α-ΩΆ-Ώα-ωµ]+")


def _say_greek(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[0] == "µ":
        return ["micro"]
    letters = found[0].lower().replace("µ", "μ")
    if len(letters) > 2 or any(letter not in GREEK_NAMES for letter in letters):
        return None  # a Greek word and no sign
    return [GREEK_NAMES[letter] for letter in letters]


# ---- addresses -----------------------------------------------------------------------------------------------------

_TOP: Final = (
    "com|org|net|edu|gov|mil|int|io|ai|co|uk|de|fr|eu|es|nl|ch|at|be|se|no|app|dev|info|me|tv|us|ca|au|jp|in|ly|gg|xyz|"
    "tech|shop|online|site|biz|cloud|wiki|fm|example|test|local|museum"
)
_URL: Final = re.compile(
    r"(?:(?:https?|ftp|wss?)://|www\.)[^\s<>\"|]{1,400}"
    rf"|(?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,8}}(?:{_TOP})(?![A-Za-z0-9-]|\.[A-Za-z0-9])"
    r"(?::\d{1,5})?(?:/[^\s<>\"|]{0,400})?"
)
_EMAIL: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
_FILE: Final = re.compile(r"[A-Za-z_][\w-]+(?:\.[A-Za-z]\w*)+(?!\w)")
_PIECES: Final = re.compile(r"[A-Za-z]+|\d+|\S")


_SHORT_IN_ADDRESSES: Final = frozenset("co me us a at in my to go no".split())


def _address(scan: Scan, written: str) -> list[str]:
    said: list[str] = []
    for piece in _PIECES.findall(written):
        if piece[0].isalpha() and piece.isascii():
            lower = piece.lower()
            if lower == "www":
                said += ["w", "w", "w"]
            elif lower != "com" and (
                (len(piece) < 3 and lower not in _SHORT_IN_ADDRESSES)
                or not set(lower) & set("aeiouy")
                or (len(piece) < 4 and not known(lower) and lower not in SHORT_WORDS)
            ):
                said += spelled(piece)
            else:
                said.append(lower)
        elif piece.isdigit() and piece.isascii():
            said += numbers.amount(piece)
        else:
            said += LEFT_IN_ADDRESSES.get(piece, "").split()
    return said


def _say_url(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    end = len(written.rstrip(".,;:!?'*_~`)]}>…"))
    if written.count("(", 0, end) > written.count(")", 0, end) and written[end : end + 1] == ")":
        end += 1
    said = _address(scan, re.sub(r"^\w+://", "", written[:end]).rstrip("/"))
    if not said:
        return None
    scan.put(scan.at + end, said)
    return []


def _say_email(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return _address(scan, found[0])


def _say_file(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    rest = found[0].split(".")[1:]
    if any(part[:1].isupper() and part[1:2].islower() for part in rest):
        return None  # two sentences without a space between them
    return _address(scan, found[0])


_PATH: Final = re.compile(r"~?(?:/[\w.-]*\w){1,20}/?")


def _say_path(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return _address(scan, found[0]) if scan.apart and re.search("[A-Za-z]", found[0]) else None


_AT_NAME: Final = re.compile(r"@([A-Za-z_]\w*)")
_HASHTAG: Final = re.compile(r"#([A-Za-z]\w*)")
_HUMPS: Final = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]|\d+")


def _say_handle(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.apart:
        return None
    said = ["at" if found[0][0] == "@" else "hashtag"]
    for part in found[1].split("_"):
        for hump in _HUMPS.findall(part):
            said += numbers.amount(hump) if hump.isdigit() else _word(scan, hump)
    return said


# ---- numbers -------------------------------------------------------------------------------------------------------

_N: Final = r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)(?:\.\d+)?|\.\d+"
_DASH: Final = r"\s?[-–—−]\s?"


def _number(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("NUM", f"(?:{_N})").replace("DASH", _DASH))


_IP: Final = _number(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)(?::(\d{1,5}))?(?:/(\d{1,2})(?!\d))?")


def _say_ip(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    parts = found.groups()[:4]
    if any(int(part) > 255 for part in parts):
        return None
    said: list[str] = []
    for part in parts:
        said += [*(["dot"] if said else []), *(numbers.digits(part) if len(part) > 2 else numbers.amount(part))]
    said += ["colon", *numbers.amount(found[5])] if found[5] else []
    return [*said, *(["slash", *numbers.amount(found[6])] if found[6] else [])]


_MANY_DOTS: Final = _number(r"\d+(?:\.\d+){2,}(?:,\d+)?(?![\d])|\d{1,3}(?:\.\d{3})+,\d{1,2}(?!\d)")


def _say_dots(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[0]
    date = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", written)
    if date and _is_date(int(date[2]), int(date[1])):
        return _date(int(date[3]), int(date[2]), int(date[1]))
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", written):
        return numbers.amount(written.replace(".", "").replace(",", "."))
    return _pointed(written) if "," not in written else None


def _is_date(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _date(year: int, month: int, day: int) -> list[str]:
    return [MONTH_NAMES[month - 1], *numbers.ordinal(day), *numbers.year(year)]


def _short_year(written: str) -> int:
    return int(written) if len(written) == 4 else int(written) + (2000 if int(written) < 50 else 1900)


_ISO: Final = _number(
    r"(\d{4})([-/])(\d{2})\2(\d{2})(?:[T ](\d{2}):(\d{2})(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?(?![\d])"
)


def _say_iso(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    year, month, day = int(found[1]), int(found[3]), int(found[4])
    if not _is_date(month, day):
        return None
    said = _date(year, month, day)
    if found[5] and int(found[5]) < 25 and int(found[6]) < 60:
        said += _clock(int(found[5]), int(found[6]), "")
        if found[7]:
            said += ["u", "t", "c"]
            if found[7] != "Z":
                said += ["plus" if found[7][0] == "+" else "minus", *numbers.cardinal(int(found[7][1:3]))]
    return said


_SLASHED: Final = _number(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(?![\d/])")


def _say_slashed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    first, second, year = int(found[1]), int(found[3]), _short_year(found[4])
    if found[2] == "-" and len(found[4]) == 2:
        return None
    if _is_date(first, second):
        return _date(year, first, second)
    return _date(year, second, first) if _is_date(second, first) else None


_PHONES: Final = _number(
    r"(?:\+?\d{1,3}[-. ])?(?:\(\d{3}\)\s?|\d{3}[-. ])\d{3}[-. ]\d{4}(?![\d-])"
    r"|\+\d{1,3}(?:[ .-]?\(?\d{1,4}\)?){2,6}(?![\d])"
    r"|\d{3}-\d{4}(?![\d-])|1-\d{3}-[A-Z]{4,10}(?![A-Za-z])|0\d{2,4} \d{3,4} \d{3,4}(?!\d)"
    r"|\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?!\d)|\d{3}-\d{2}-\d{4}(?!\d)"
)


def _say_phone(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    said = ["plus"] if found[0][0] == "+" else []
    groups = re.findall(r"\d+|[A-Z]+", found[0])
    for place, group in enumerate(groups):
        said += [","] if place else []
        said += numbers.digits(group) if group.isdigit() else [group.lower()]
    return said


_EMERGENCY: Final = _number(r"\d{3}(?![\w.,]?\d)(?!\w)")


def _say_emergency(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    calls = scan.tokens and scan.tokens[-1].said[-1:] in (("call",), ("dial",), ("phone",))
    return numbers.digits(found[0]) if calls and found[0] in {"911", "999", "112", "110", "411", "311", "988"} else None


_CLOCK: Final = _number(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s?([AaPp])(?:\.\s?[Mm]\.|[Mm](?![A-Za-z])))?(?![\d:])")
_HOUR: Final = _number(r"(\d{1,2})(?:DASH(\d{1,2}))?\s?([AaPp])(?:\.\s?[Mm]\.|[Mm](?![A-Za-z]))")


def _clock(hour: int, minute: int, half: str) -> list[str]:
    said = numbers.cardinal(hour)
    if minute:
        said += [*(["oh"] if minute < 10 else []), *numbers.cardinal(minute)]
    elif not half:
        said += ["o'clock"] if 0 < hour <= 12 else ["hundred"]
    return [*said, *_half(half)]


def _half(half: str) -> list[str]:
    return (["a.", "m"] if half.lower() == "a" else ["p", "m"]) if half else []


def _say_clock(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    hour, minute = int(found[1]), int(found[2])
    if minute > 59:
        return None
    if found[3] and not found[4]:
        parts = [(hour, "hour"), (minute, "minute"), (int(found[3]), "second")]
        said = [[*numbers.cardinal(n), name if n == 1 else name + "s"] for n, name in parts if n]
        if not said:
            return ["zero", "seconds"]
        return [
            word
            for place, part in enumerate(said)
            for word in ([*(["and"] if 0 < place == len(said) - 1 else []), *part])
        ]
    if hour > 24:
        return None
    return _clock(hour, minute, found[4] or "")


def _say_hour(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if int(found[1]) > 24:
        return None
    until = ["to", *numbers.cardinal(int(found[2]))] if found[2] else []
    return [*numbers.cardinal(int(found[1])), *until, *_half(found[3])]


_SCALE: Final = r"(?:\s?(k|K|m|M|mn|bn|Bn|BN|b|B|t|T|tn|thousand|million|billion|trillion)(?![A-Za-z]))?"
_SIGN_OF: Final = "|".join(sorted((re.escape(sign) for sign in MONEY), key=len, reverse=True))
_COINS: Final = "".join(sign for sign in MONEY if len(sign) == 1)
_MONEY: Final = _number(
    rf"({_SIGN_OF})\s?([-−]?)(NUM){_SCALE}(?:DASH(?:{_SIGN_OF})?(NUM){_SCALE})?(?![\d])(?=(?:[ -](?:{NOTES})\b)?)"
)
_NOTE: Final = re.compile(rf"[ -](?:{NOTES})\b")
_MONEY_AFTER: Final = _number(rf"(NUM|\d+,\d{{2}})\s?([{_COINS}]|USD|EUR|GBP|JPY|CHF|CAD|AUD|INR)(?![\w$])")


def _money(sign: str, written: str, scale: str = "", one: bool = False) -> list[str]:
    first, many, cent, cents = MONEY[sign]
    plain = written.replace(",", "")
    whole, _, part = plain.partition(".")
    if scale or (part and (len(part) != 2 or not cent)) or len(whole) > 12:
        return [*numbers.amount(plain), *([SCALES[scale.lower()]] if scale else []), *(first if one else many).split()]
    units, small = int(whole or 0), int(part or 0)
    said: list[str] = []
    if units or not small:
        said += [*numbers.cardinal(units), *(first if units == 1 or one else many).split()]
    if small:
        said += [*(["and"] if units else []), *numbers.cardinal(small), cent if small == 1 else cents]
    return said


def _say_money(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    sign, minus, low, scale, high, scale_high = found.groups()
    note = _NOTE.match(scan.text, found.end(), scan.end) is not None
    said = ["minus"] if minus else []
    if high is None:
        return [*said, *_money(sign, low, scale or "", note)]
    start = [*numbers.amount(low), *([SCALES[scale.lower()]] if scale else [])]
    return [*said, *start, "to", *_money(sign, high, scale_high or "", note)]


def _say_money_after(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    written = found[1]
    if re.fullmatch(r"\d+,\d{2}", written):
        written = written.replace(",", ".")
    return _money(found[2], written)


_CENTS: Final = _number(r"(\d+)(?:\s?¢|c(?![A-Za-z0-9]))")


def _say_cents(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*numbers.amount(found[1]), "cent" if found[1] == "1" else "cents"]


_SPACED: Final = _number(r"[1-9]\d{0,2}(?: \d{3})+(?!\d)")


def _say_spaced(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    groups = found[0].split(" ")
    if len(groups) == 2 and groups[1] != "000":
        return None
    said = numbers.amount("".join(groups))
    return said if _with_unit(scan, said, found.end(), False) is None else []


_POWER: Final = _number(r"(NUM)(?:\s?\^\s?([-−]?\d+)|([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|[eE]([-+−]?\d{1,3}))(?![\w])")
_RAISED: Final = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")


def _power(written: str) -> list[str]:
    number = int(written)
    if number in (2, 3):
        return ["squared" if number == 2 else "cubed"]
    return ["to", "the", "power", "of", *numbers.cardinal(number)]


def _say_power(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    said = numbers.amount(found[1])
    if found[4]:
        return [*said, "times", "ten", *_power_of(found[4])]
    return [*said, *_power((found[2] or found[3]).translate(_RAISED))]


def _power_of(written: str) -> list[str]:
    return ["to", "the", "power", "of", *numbers.cardinal(int(written.translate(_RAISED)))]


_RAISED_LETTER: Final = re.compile(r"([A-Za-z])(?:\^([-−]?\d+)|([⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))(?!\w)")


def _say_raised(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*spelled(found[1]), *_power((found[2] or found[3]).translate(_RAISED))]


_BY: Final = _number(r"(NUM)([x×])(NUM)(?:\2(NUM))?(?![\w])")


def _say_by(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    sizes = [size for size in (found[1], found[3], found[4]) if size]
    return [word for place, size in enumerate(sizes) for word in ([*(["by"] if place else []), *numbers.amount(size)])]


_SIGNS_OF_FRACTIONS: Final = "".join(FRACTION_SIGNS)
_MIXED_FRACTION: Final = _number(rf"(\d+)(?:[ ]?([{_SIGNS_OF_FRACTIONS}])|[ -](\d{{1,2}})/(\d{{1,2}})(?![\d/]))")
_FRACTION: Final = _number(r"(\d{1,3}|(?:1[1-9]|20)\d\d)/(\d{1,3})(?![\d/])")


def _say_mixed_fraction(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    top, bottom = FRACTION_SIGNS[found[2]] if found[2] else (int(found[3]), int(found[4]))
    if not 0 < top < bottom or bottom not in _BOTTOMS:
        return None
    part = numbers.fraction(top, bottom)
    return [*numbers.amount(found[1]), "and", *(["a", *part[1:]] if top == 1 else part)]


_BOTTOMS: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100})
_DAY_WORDS: Final = frozenset({"on", "due", "dated", "by", "until", "since"})


def _say_fraction(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    top, bottom = int(found[1]), int(found[2])
    if scan.tokens and scan.tokens[-1].said[-1] in _DAY_WORDS and _is_date(top, bottom) and bottom > 4:
        return [MONTH_NAMES[top - 1], *numbers.ordinal(bottom)]
    if bottom in _BOTTOMS and top and (top < bottom or bottom == 2) and bottom < 50:
        if bottom == 10 and top > 1:
            return [*numbers.cardinal(top), "out", "of", "ten"]
        return numbers.fraction(top, bottom)
    if bottom == 100 and top < 100:
        return [*numbers.cardinal(top), "out", "of", "one", "hundred"]
    return [*_year_or_number(found[1]), *numbers.amount(found[2])]


_DECADE: Final = _number(r"(\d{4})s(?![A-Za-z0-9])|(\d0)s(?![A-Za-z0-9])")
_APOSTROPHE_YEAR: Final = re.compile(r"'(\d{2})(s?)(?![\w])")
_DECADE_WORDS: Final = frozenset("the his her their my your our early mid late its and".split())


def _say_decade(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[1]:
        return numbers.plural(numbers.year(int(found[1]))) if found[1][3] == "0" and found[1][0] in "12" else None
    if scan.tokens and scan.tokens[-1].said[-1] in _DECADE_WORDS and found[2] != "00":
        return numbers.plural(numbers.cardinal(int(found[2])))
    return None


def _say_apostrophe_year(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.apart:
        return None
    said = numbers.cardinal(int(found[1])) if found[1][0] != "0" else ["oh", *numbers.cardinal(int(found[1]))]
    return numbers.plural(said) if found[2] else said


_ORDINAL: Final = _number(r"((?:\d{1,3}(?:,\d{3})+|\d+))(?:st|nd|rd|th|ST|ND|RD|TH)(?![A-Za-z0-9])")


def _say_ordinal(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    number = int(found[1].replace(",", ""))
    return numbers.ordinal(number) if number < 10**15 else None


_MONTH: Final = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)\b\.?)"
)
_DAY: Final = r"(\d{1,2})(?:st|nd|rd|th)?(?![\d:]|\.\d|,\d)"
_YEAR: Final = r"(?:,?\s+((?:1[0-9]|20)\d\d)(?![\d:]|[.,]\d))?"
_MONTH_DAY: Final = re.compile(rf"({_MONTH})\s+{_DAY}(?:{_DASH}{_DAY})?{_YEAR}(?!\w)")
_DAY_MONTH: Final = re.compile(rf"{_DAY}\s+(?:of\s+)?({_MONTH})(?![A-Za-z]){_YEAR}")
_MONTH_YEAR: Final = re.compile(rf"({_MONTH})\s+((?:1[0-9]|20)\d\d)(?![\w:]|[.,]\d)")


def _month(written: str) -> str:
    return MONTH_NAMES[MONTHS[written.lower().rstrip(".")] - 1]


def _say_month_day(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    days = [int(day) for day in (found[2], found[3]) if day]
    if not all(1 <= day <= 31 for day in days):
        return None
    said = [_month(found[1])]
    for place, day in enumerate(days):
        said += [*(["to"] if place else []), *numbers.ordinal(day)]
    return [*said, *(numbers.year(int(found[4])) if found[4] else [])]


def _say_day_month(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not 1 <= int(found[1]) <= 31:
        return None
    the = [] if scan.tokens and scan.tokens[-1].said[-1:] == ("the",) else ["the"]
    return [
        *the,
        *numbers.ordinal(int(found[1])),
        "of",
        _month(found[2]),
        *(numbers.year(int(found[3])) if found[3] else []),
    ]


def _say_month_year(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [_month(found[1]), *numbers.year(int(found[2]))]


_LOWER_UNITS: Final = {name.lower(): name for name in UNITS if name not in ONLY_AS_WRITTEN}
_UNIT_NAMES: Final = "|".join(
    sorted(map(re.escape, {*UNITS, *_LOWER_UNITS, *(n.upper() for n in _LOWER_UNITS)}), key=len, reverse=True)
)
_UNIT: Final = re.compile(
    rf"([ -]?)({_UNIT_NAMES})((?:\^?[23]|[²³])(?!\d))?(?:/({_UNIT_NAMES})([²³]|\^[23])?)?"
    r"(?![A-Za-z0-9])(\.(?=\s[a-z0-9]|,|\)))?"
)
_MEASURED: Final = _number(r"(NUM)(?:DASH([-−]?NUM))?(?!\d)")
_OUNCES: Final = re.compile(r"\s(?!of\b|and\b|or\b|is\b|are\b|per\b|in\b|to\b|for\b|each\b)[a-z]{3,}")


def _unit_of(written: str) -> tuple[str, str] | None:
    if written in UNITS:
        return UNITS[written]
    name = _LOWER_UNITS.get(written.lower())
    return UNITS[name] if name and (len(written) > 1 or not written.isalpha()) else None


def _say_measure(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    high = found[2]
    said = numbers.amount(found[1])
    if high:
        said += ["to", *(["minus"] if high[0] in "-−" else []), *numbers.amount(high.lstrip("-−"))]
    return _with_unit(scan, said, found.end(), found[1] == "1" and not high)


def _with_unit(scan: Scan, said: list[str], end: int, one: bool) -> Sequence[str] | None:
    """A number and the unit that stands after it; None where there is none."""
    unit = _UNIT.match(scan.text, end, scan.end)
    if unit is None:
        return None
    gap, name, power, per, per_power, stop = unit.groups()
    forms = _unit_of(name)
    if forms is None or (power and name not in SQUARED):
        return None
    if name == "in" and gap == " " and not stop and not _after_feet(scan):
        return None
    if gap == "-" and name in {"k", "M", "bn", "tn"}:
        return None
    if gap and len(name) == 1 and name.isalpha() and scan.text[unit.end() : unit.end() + 1] == "'":
        return None  # "5 s'il", a word and no seconds
    adjective = gap == "-" or (name.lower() == "oz" and _OUNCES.match(scan.text, unit.end(), scan.end) is not None)
    if power:
        said = [*said, "square" if power[-1] in "2²" else "cubic"]
    said = [*said, *forms[0 if one or adjective else 1].split()]
    if per and (below := _unit_of(per)):
        said += ["per", *below[0].split()]
        said += ["squared" if per_power[-1] in "2²" else "cubed"] if per_power else []
    scan.put(unit.end(), said)
    scan.numeric = True
    return []


def _after_feet(scan: Scan) -> bool:
    return bool(scan.tokens) and scan.tokens[-1].said[-1:] in (("feet",), ("foot",))


_FEET: Final = _number(r"(\d+)'(?:\s?(\d+(?:\.\d+)?)\"|(?![A-Za-z']))")
_INCHES: Final = _number(r"(NUM)\"")


def _say_feet(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not found[2] and scan.text.count("'", scan.begin, scan.at) % 2:
        return None
    said = [*numbers.amount(found[1]), "foot" if found[1] == "1" else "feet"]
    return [*said, *numbers.amount(found[2]), "inch" if found[2] == "1" else "inches"] if found[2] else said


def _say_inches(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if scan.around.quoted:
        return None  # that sign closes what was opened
    adjective = re.match(r"\s[a-z]", scan.text[found.end() : found.end() + 2]) is not None
    return [*numbers.amount(found[1]), "inch" if adjective or found[1] == "1" else "inches"]


_RANGE: Final = _number(r"(NUM)(?:DASH)(NUM)(?![\w]|-\d)")
_RATIO: Final = _number(r"(\d{1,4}):(\d{1,4})(?![\d:])")
_YEAR_ALONE: Final = _number(r"(?:1[1-9]\d\d|20\d\d)(?![\d]|[.,]\d)")
_ALONE: Final = _number(r"NUM")


def _year_or_number(written: str) -> list[str]:
    return numbers.year(int(written)) if _YEAR_ALONE.fullmatch(written) else numbers.amount(written)


def _say_range(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    between = scan.text[found.end(1) : found.start(2)]
    if "−" in between or (
        between.strip() != between and "=" in scan.text[found.end() : min(found.end() + 3, scan.end)]
    ):
        return None
    return [*_year_or_number(found[1]), "to", *_year_or_number(found[2])]


def _say_ratio(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [*numbers.amount(found[1]), "to", *numbers.amount(found[2])]


def _say_year(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return numbers.year(int(found[0]))


def _say_number(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return numbers.amount(found[0])


_LISTED: Final = re.compile(r"(\d{1,3})([.)])(?=\s)")


def _say_listed(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [*numbers.amount(found[1]), ","] if scan.line_begins else None


# ---- signs ---------------------------------------------------------------------------------------------------------

_SILENT_LINES: Final = re.compile(
    r"[#]{1,6}(?=\s)|```[\w+#.-]*|~~~\w*|(?:[-*_] ?){3,}(?=\s*(?:\n|\Z))|[-*+•](?=\s)(?:\s\[[ xX]\](?=\s))?|>+"
    r"|(?=[ :|-]*--)[ :|-]+(?=\n|\Z)"
)


def _say_nothing_at_line(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.line_begins else None


_LINK_TAIL: Final = re.compile(r"\]\((?:[^()\s]|\([^()\s]*\)){0,400}(?:\s\"[^\"]{0,200}\")?\)")
_FOOTNOTE: Final = re.compile(r"\[\^\w{1,20}\]:?")
_EMPHASIS: Final = re.compile(r"\*+|_+|~~|`+")
_FACE: Final = re.compile(r"[:;=8][-o']?[)(\]\[DPpOo|/*3](?![A-Za-z0-9(/])|[xX]D(?!\w)|:'\(|\^_?\^|¯\\_\(ツ\)_/¯")
_HEART: Final = re.compile(r"<3(?![\d.,%])")
_TWO_SIGNS: Final = re.compile(r"[<>!=]=+|[-=]+>|<-+|\+/-|&(?:amp|lt|gt|quot|apos|nbsp|#39|#34);|--+")
_TWO_SAID: Final = {
    "<=": "less than or equal to", ">=": "greater than or equal to", "!=": "not equal to", "==": "equals",
    "===": "equals", "+/-": "plus or minus", "&amp;": "and", "&lt;": "less than", "&gt;": "greater than",
}  # fmt: skip


def _say_nothing(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return []


def _say_emphasis(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    after = scan.text[found.end() : found.end() + 1] if found.end() < scan.end else ""
    before = scan.before()
    if found[0] == "*" and before.isspace() and after.isspace() and scan.numeric:
        return ["times"]
    if set(found[0]) == {"_"} and before.isalnum() and after.isalnum():
        return ["underscore"]
    return []


def _say_face(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.apart and not (scan.numeric and scan.before().isdigit()) else None


def _say_heart(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    loving = not scan.tokens or scan.tokens[-1].said[-1:] in (("i",), ("we",), ("they",), ("you",))
    return ["heart"] if loving or _next_word(scan, found.end()).lower() in {"you", "u", "this", "it", "my"} else None


def _say_two(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    if found[0].endswith(">") and found[0][0] in "-=":
        return ["to"]
    if found[0].startswith("--"):
        return [","]
    return _TWO_SAID.get(found[0], "").split()


def _say_tag(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    around = scan.around
    if not markup.is_tag(found, around.document):
        return None
    name = (found["name"] or "").lower()
    if not name:
        return []
    given = markup.attributes(found["rest"] or "")
    if name == "speak":
        around.document = not found["close"]
        return []
    if name == "break":
        scan.put(found.end(), [","], markup.pause_of(given))
        return []
    if name in markup.WHOLE and not found["close"] and not found["empty"]:
        closing = markup.element(scan.text, found)
        if closing is not None and closing.end() <= scan.end:
            inside = scan.text[found.end() : closing.start()]
            said = said_of(given["alias"]) if name == "sub" and "alias" in given else _said_as(inside, given, around)
            scan.put(closing.end(), said)
            return []
    if name not in markup.WHOLE or not found["close"]:
        around.dropped.add(name)
    return ["."] if name in markup.ENDS and scan.tokens else []


def _said_as(inside: str, given: dict[str, str], around: Around) -> list[str]:
    plain, how = inside.strip(), given.get("interpret-as", "")
    digits = re.sub(r"\D", "", plain)
    if how in {"characters", "spell-out", "verbatim", "letters"}:
        return [word for char in plain if not char.isspace() for word in spelled(char) or said_of(char)]
    if how in {"digits", "telephone"} and digits:
        groups = re.findall(r"\d+", plain) if how == "telephone" else [digits]
        said = [word for place, group in enumerate(groups) for word in ([","] * (place > 0) + numbers.digits(group))]
        return ["plus", *said] if plain[0] == "+" else said
    if how in {"cardinal", "number"} and re.fullmatch(r"[-−]?\d[\d,]*(?:\.\d+)?", plain):
        return [*(["minus"] if plain[0] in "-−" else []), *numbers.amount(plain.lstrip("-−"))]
    if how == "ordinal" and digits and len(digits) < 15:
        return numbers.ordinal(int(digits))
    if how == "date" and (said := _date_as(plain, given.get("format", ""))):
        return said
    if how == "fraction" and (found := re.fullmatch(r"(\d{1,6})/(\d{1,6})", plain)) and int(found[2]) > 1:
        return numbers.fraction(int(found[1]), int(found[2]))
    if how not in {
        "date",
        "time",
        "currency",
        "unit",
        "address",
        "fraction",
        "cardinal",
        "number",
        "ordinal",
        "digits",
        "telephone",
    }:
        around.dropped.add("say-as")
    return said_of(plain)


def _date_as(plain: str, order: str) -> list[str] | None:
    parts = re.findall(r"\d+", plain)
    if not re.fullmatch(r"[mdy]{2,3}", order) or len(parts) != len(order):
        return None
    found = dict(zip(order, map(int, parts), strict=True))
    year = _short_year(parts[order.index("y")]) if "y" in found else None
    if "d" not in found or "m" not in found or not _is_date(found["m"], found["d"]):
        return None
    return [
        MONTH_NAMES[found["m"] - 1],
        *numbers.ordinal(found["d"]),
        *(numbers.year(year) if year is not None else []),
    ]


def said_of(text: str) -> list[str]:
    """Words and marks of a short text of its own."""
    from vivavoce.text.folding import fold

    return [word for token in Scan(fold(text), 0, len(text), Around()).run() for word in token.said]


_MINUS: Final = re.compile(rf"[-−–](?=[\d.][\d.]*|[{_COINS}]\s?\d)")
_SPACED_DASH: Final = re.compile(r"[-–−]")


def _say_minus(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if found[0] == "−":
        return ["minus"]
    if scan.apart and (not scan.numeric or "=" in scan.text[scan.at : scan.at + 12]):
        return ["minus"]
    return ["to"] if scan.numeric and not scan.before().isspace() else None


def _say_dash(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    spaced = scan.before().isspace() and scan.text[found.end() : found.end() + 1].isspace()
    if found[0] == "−":
        return ["minus"]
    if scan.numeric and spaced and scan.text[found.end() : found.end() + 2].strip().isdigit():
        return ["minus"]
    return [","] if spaced and scan.tokens else []


_PER: Final = re.compile(r"/\s?(?=([A-Za-z]+))")
_BETWEEN: Final = re.compile(r"\s?/\s?(?=[A-Za-z])")


def _say_per(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    if not scan.numeric and not (scan.tokens and scan.tokens[-1].said[-1] in _MONEY_WORDS):
        return None
    unit = re.compile(r"/\s?([A-Za-z]{1,4})(?![A-Za-z])").match(scan.text, scan.at, scan.end)
    if unit and (forms := _unit_of(unit[1])):
        scan.put(unit.end(), ["per", *forms[0].split()])
        return []
    return ["per"]


_MONEY_WORDS: Final = frozenset(word for forms in MONEY.values() for form in forms for word in form.split()[-1:])


def _say_between(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    return [] if scan.before().isalpha() or scan.before().isspace() else None


_NUMBER_SIGN: Final = re.compile(r"[#№](?=\s?\d)")
_DOT_NAME: Final = re.compile(r"\.(?=[A-Z]{2,})")
_BRACKETED: Final = re.compile(r"<(?=[A-Za-z][^<>]{0,60}>)")
_BRACKET_END: Final = re.compile(r">")


def _say_number_sign(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return ["number"]


def _say_bracket_end(scan: Scan, found: re.Match[str]) -> Sequence[str] | None:
    opened = scan.text.rfind("<", scan.begin, scan.at)
    return [] if opened >= 0 and _BRACKETED.match(scan.text, opened, scan.at + 1) else None


def _say_quote(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    scan.around.quoted = not scan.around.quoted
    return []


def _say_ellipsis(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    after = _next_word(scan, found.end())
    return ["," if after[:1].islower() or not (after or scan.sentence) else "."]


_ELLIPSIS: Final = re.compile(r"\.{2,}|…+")
_QUOTE: Final = re.compile(r"\"|&quot;")
_IMAGE: Final = re.compile(r"!(?=\[)")
_CELL: Final = re.compile(r"\|")


def _say_cell(scan: Scan, found: re.Match[str]) -> Sequence[str]:
    return [","]


Rule = tuple[re.Pattern[str], Say]
_ADDRESSES: Final[tuple[Rule, ...]] = ((_EMAIL, _say_email), (_URL, _say_url))
_LETTER_RULES: Final[tuple[Rule, ...]] = (
    *_ADDRESSES,
    (_MONTH_DAY, _say_month_day),
    (_MONTH_YEAR, _say_month_year),
    (_MONEY, _say_money),
    (_WITH, _say_with),
    (_VERSION_LETTER, _say_version),
    (_RAISED_LETTER, _say_raised),
    (_DOTTED, _say_dotted),
    (_BARE, _say_bare),
    (_ROMAN, _say_roman),
    (_SHARP, _say_sharp),
    (_AMPERSAND, _say_ampersand),
    (_FILE, _say_file),
    (_FACE, _say_face),
    (_MIXED, _say_mixed),
    (_WORD, _say_word),
)
_DIGIT_RULES: Final[tuple[Rule, ...]] = (
    *_ADDRESSES,
    (_LISTED, _say_listed),
    (_ISO, _say_iso),
    (_SLASHED, _say_slashed),
    (_PHONES, _say_phone),
    (_IP, _say_ip),
    (_MANY_DOTS, _say_dots),
    (_CLOCK, _say_clock),
    (_HOUR, _say_hour),
    (_SPACED, _say_spaced),
    (_MONEY_AFTER, _say_money_after),
    (_POWER, _say_power),
    (_BY, _say_by),
    (_MIXED_FRACTION, _say_mixed_fraction),
    (_FRACTION, _say_fraction),
    (_DECADE, _say_decade),
    (_ORDINAL, _say_ordinal),
    (_DAY_MONTH, _say_day_month),
    (_CENTS, _say_cents),
    (_FEET, _say_feet),
    (_INCHES, _say_inches),
    (_MEASURED, _say_measure),
    (_EMERGENCY, _say_emergency),
    (_RANGE, _say_range),
    (_RATIO, _say_ratio),
    (_MIXED, _say_mixed),
    (_YEAR_ALONE, _say_year),
    (_ALONE, _say_number),
)
_LINE: Final[Rule] = (_SILENT_LINES, _say_nothing_at_line)
_DASHES: Final[tuple[Rule, ...]] = (_LINE, (_TWO_SIGNS, _say_two), (_MINUS, _say_minus), (_SPACED_DASH, _say_dash))
_SIGN_RULES: Final[dict[str, tuple[Rule, ...]]] = {
    "<": ((markup.TAG, _say_tag), (_HEART, _say_heart), (_TWO_SIGNS, _say_two), (_BRACKETED, _say_nothing)),
    ">": ((_TWO_SIGNS, _say_two), (_BRACKET_END, _say_bracket_end), _LINE),
    '"': ((_QUOTE, _say_quote),),
    "'": ((_APOSTROPHE_YEAR, _say_apostrophe_year), (_WORD, _say_word)),
    "#": (_LINE, (_NUMBER_SIGN, _say_number_sign), (_HASHTAG, _say_handle)),
    "@": ((_AT_NAME, _say_handle),),
    "-": _DASHES,
    "–": _DASHES,
    "−": _DASHES,
    "+": ((_PHONES, _say_phone), _LINE, (_TWO_SIGNS, _say_two)),
    "(": ((_PHONES, _say_phone),),
    "*": (_LINE, (_EMPHASIS, _say_emphasis)),
    "_": (_LINE, (_EMPHASIS, _say_emphasis)),
    "`": (_LINE, (_EMPHASIS, _say_emphasis)),
    "~": (_LINE, (_PATH, _say_path), (re.compile("~~"), _say_nothing)),
    "•": (_LINE,),
    "[": ((_FOOTNOTE, _say_nothing),),
    "]": ((_LINK_TAIL, _say_nothing),),
    "!": ((_IMAGE, _say_nothing), (_TWO_SIGNS, _say_two)),
    "=": ((_FACE, _say_face), (_TWO_SIGNS, _say_two)),
    ":": ((_FACE, _say_face),),
    ";": ((_FACE, _say_face),),
    "^": ((_FACE, _say_face),),
    "¯": ((_FACE, _say_face),),
    ".": ((_ELLIPSIS, _say_ellipsis), (_ALONE, _say_number), (_DOT_NAME, lambda scan, found: ["dot"])),
    "…": ((_ELLIPSIS, _say_ellipsis),),
    "/": ((_PATH, _say_path), (_PER, _say_per), (_BETWEEN, _say_between)),
    "&": ((_QUOTE, _say_quote), (_TWO_SIGNS, _say_two)),
    "|": (_LINE, (_CELL, _say_cell)),
    "№": ((_NUMBER_SIGN, _say_number_sign),),
    **{sign: ((_MONEY, _say_money),) for sign in MONEY if len(sign) == 1},
}
_GREEK_RULES: Final[tuple[Rule, ...]] = ((_GREEK, _say_greek),)


def _rules_for(char: str) -> tuple[Rule, ...]:
    if char.isascii():
        if char.isalpha():
            return _LETTER_RULES
        if char.isdigit():
            return _DIGIT_RULES
    elif char in WIDE_LETTERS:
        return _LETTER_RULES
    elif "\u0370" <= char <= "\u03ff" or char == "µ":
        return _GREEK_RULES
    return _SIGN_RULES.get(char, ())
