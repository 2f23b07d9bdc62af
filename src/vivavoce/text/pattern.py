"""Regular expressions of JSON schemas as grammars of the characters inside a JSON string.

Known: literals, ``.``, classes, ``\\d \\w \\s`` and their opposites, groups, ``|``, ``* + ? {m,n}``, anchors at the
ends. Other constructs are refused, since a value that only nearly fits is a wrong value.
"""

from vivavoce.core.errors import ToolError
from vivavoce.text.grammar import NOTHING, Alt, Chars, Lit, Node, Rep, alt, seq

_PRINTABLE = frozenset(range(32, 127))
_DIGITS = frozenset(range(48, 58))
_WORD = _DIGITS | frozenset(range(65, 91)) | frozenset(range(97, 123)) | {95}
_SPACE = frozenset({32, 9, 10, 13, 12})
_CLASSES = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": 10, "r": 13, "t": 9, "f": 12, "v": 11, "0": 0}
_ESCAPED = {8: b"\\b", 9: b"\\t", 10: b"\\n", 12: b"\\f", 13: b"\\r", 34: b'\\"', 92: b"\\\\"}
_TAIL = Chars(frozenset(range(0x80, 0xC0)))
_FOREIGN = Alt(
    (
        seq(Chars(frozenset(range(0xC2, 0xE0))), _TAIL),
        seq(Lit(b"\xe0"), Chars(frozenset(range(0xA0, 0xC0))), _TAIL),
        seq(Chars(frozenset([*range(0xE1, 0xED), 0xEE, 0xEF])), _TAIL, _TAIL),
        seq(Lit(b"\xed"), Chars(frozenset(range(0x80, 0xA0))), _TAIL),
        seq(Lit(b"\xf0"), Chars(frozenset(range(0x90, 0xC0))), _TAIL, _TAIL),
        seq(Chars(frozenset(range(0xF1, 0xF4))), _TAIL, _TAIL, _TAIL),
        seq(Lit(b"\xf4"), Chars(frozenset(range(0x80, 0x90))), _TAIL, _TAIL),
    )
)


def character(codes: frozenset[int], foreign: bool = False) -> Node:
    """One character of a set of ASCII codes (and any beyond ASCII), as it is written inside a JSON string."""
    plain = frozenset(code for code in codes if code in _PRINTABLE and code not in _ESCAPED)
    options: list[Node] = [Lit(_ESCAPED[code]) for code in sorted(codes) if code in _ESCAPED]
    if len(plain) == 1:
        options.append(Lit(bytes(plain)))
    elif plain:
        options.append(Chars(plain))
    if foreign:
        options.append(_FOREIGN)
    return alt(*options) if options else Chars(frozenset())


ANY = character(_PRINTABLE | _SPACE, foreign=True)


class _Reader:
    """Recursive descent over one pattern."""

    def __init__(self, pattern: str):
        self.pattern = pattern
        self.at = 0

    def refuse(self, what: str) -> ToolError:
        return ToolError(f"the pattern {self.pattern!r} has {what}, which is not supported; write it in simpler terms")

    @property
    def next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def take(self) -> str:
        if not self.next:
            raise self.refuse("an unexpected end")
        self.at += 1
        return self.pattern[self.at - 1]

    def choice(self, outermost: bool = False) -> Node:
        options = [self.sequence(outermost)]
        while self.next == "|":
            self.at += 1
            options.append(self.sequence(outermost))
        return alt(*options)

    def sequence(self, outermost: bool) -> Node:
        # A pattern is searched for, so whatever is not anchored may have anything before and after it.
        items: list[Node] = []
        anchored = False
        if outermost:
            if self.next == "^":
                self.at += 1
            else:
                items.append(Rep(ANY))
        while self.next and self.next not in "|)":
            if self.next == "$":
                self.at += 1
                if not outermost or (self.next and self.next != "|"):
                    raise self.refuse("'$' before its end")
                anchored = True
                break
            items.append(self.repeated())
        if outermost and not anchored:
            items.append(Rep(ANY))
        return seq(*items) if items else NOTHING

    def repeated(self) -> Node:
        item = self.atom()
        while self.next and self.next in "*+?{":
            kind = self.take()
            if kind == "{":
                end = self.pattern.find("}", self.at)
                low, comma, high = self.pattern[self.at : end].partition(",")
                if end < 0 or not low.isdigit() or (high and not high.isdigit()):
                    raise self.refuse("a strange repetition")
                self.at = end + 1
                item = Rep(item, int(low), (int(high) if high else None) if comma else int(low))
            else:
                item = Rep(item, int(kind == "+"), 1 if kind == "?" else None)
            if self.next and self.next in "?+":
                self.at += 1  # lazy and possessive change how, not what, is matched
        return item

    def atom(self) -> Node:
        char = self.take()
        if char == "(":
            if self.next == "?":
                if self.pattern[self.at : self.at + 2] != "?:":
                    raise self.refuse("a look-around or a named group")
                self.at += 2
            inner = self.choice()
            if self.take() != ")":
                raise self.refuse("an open parenthesis")
            return inner
        if char == "[":
            return self.group()
        if char == ".":
            return character(_PRINTABLE, foreign=True)
        if char == "\\":
            codes, foreign = self.escaped()
            return character(codes, foreign)
        if char in "^*+?{":
            raise self.refuse(f"{char!r} where nothing stands before it")
        return character(frozenset({ord(char)})) if ord(char) < 128 else Lit(char.encode())

    def escaped(self) -> tuple[frozenset[int], bool]:
        char = self.take()
        if char.lower() in _CLASSES:
            codes = _CLASSES[char.lower()]
            return (codes, False) if char.islower() else ((_PRINTABLE | _SPACE) - codes, True)
        if char in _CONTROLS:
            return frozenset({_CONTROLS[char]}), False
        if char.isalnum():
            raise self.refuse(f"'\\{char}'")
        return frozenset({ord(char)}), False

    def group(self) -> Node:
        opposite = self.next == "^"
        self.at += opposite
        codes: set[int] = set()
        foreign = False
        first = True
        while first or self.next != "]":
            first = False
            char = self.take()
            if char == "\\":
                found, beyond = self.escaped()
                foreign |= beyond
            elif ord(char) < 128:
                found = frozenset({ord(char)})
            else:
                raise self.refuse(f"{char!r} in a class")
            if len(found) == 1 and self.next == "-" and self.pattern[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                end = self.take()
                last = min(self.escaped()[0]) if end == "\\" else ord(end)
                found = frozenset(range(min(found), min(last, 127) + 1))
            codes |= found
        self.at += 1
        return (
            character((_PRINTABLE | _SPACE) - codes, not foreign) if opposite else character(frozenset(codes), foreign)
        )


def pattern_grammar(pattern: str) -> Node:
    """The texts in which a pattern is found; ToolError for what is not supported."""
    reader = _Reader(pattern)
    node = reader.choice(outermost=True)
    if reader.next:
        raise reader.refuse("a parenthesis too many")
    return node
