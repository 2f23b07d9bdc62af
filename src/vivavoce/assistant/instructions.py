"""What instructions ask to be said: a greeting, quoted words, a question, news.

A small mind of one character cannot follow instructions at large. What is understood here is what clients ask of a
reply that nobody has asked for aloud: "Greet the user.", "Say exactly: …", "Ask them for their name.", "Tell the user
that their order is ready." Everything else is left aside, and nothing is read out that was not meant to be said.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["say", "greet", "goodbye", "thank", "apologise", "introduce", "offer", "topic"]


@dataclass(frozen=True, slots=True)
class Directive:
    """One thing to be said: ``say`` gives the very ``text``, ``topic`` what to talk about; the others are acts."""

    kind: Kind
    text: str = ""


_QUOTE = r"""["“«](?P<double>[^"”»]+)["”»]|(?<![\w'])['‘](?P<single>.+?)['’](?=[\s.,!?;:)]|$)"""
_SAYING = (
    r"say(?:ing)?|repl(?:y|ying)|respond(?:ing)?|answer(?:ing)?|repeat(?:ing)?|read(?:ing)?|speak(?:ing)?|ask(?:ing)?"
)
_SAYING += r"|announc(?:e|ing)|greet(?:ing)?|start(?:ing)?|open(?:ing)?|begin(?:ning)?|tell(?:ing)?|welcom(?:e|ing)"
_QUOTED = re.compile(rf"\b(?:{_SAYING})\b[^\"“«'‘.!?]{{0,60}}?[:,]?\s*(?:{_QUOTE})", re.IGNORECASE)
_VERBATIM = re.compile(
    r"^(?:please )?(?:say|repeat|read|speak)(?: out loud| aloud)?"
    r"(?:(?: only| just)? (?:exactly|verbatim|literally|word for word|(?:exactly )?(?:this|the following|these words))"
    r"(?: (?:sentence|text|words|phrase|line|message))?(?: (?:aloud|verbatim|exactly|word for word))?\s*[:,]?\s+"
    r"|\s*:\s*)"
    r"(?P<text>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)
_NOT_NOW = re.compile(
    r"\b(?:never|don't|do not|doesn't|avoid|if|when|whenever|unless|always|instead of|rather than|every|each|must not"
    r"|should not|after|before|until|once)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|[\r\n]+")
_STEP = re.compile(r"\s*(?:,\s*(?:and\s+)?(?:then\s+)?|\band\s+(?:then\s+)?|;\s*)", re.IGNORECASE)
_LEADING = re.compile(
    r"^(?:please|now|then|next|first(?: of all)?|finally|also|just|simply|briefly|warmly|politely|kindly|immediately"
    r"|you (?:should|must|will|can|need to)|your (?:first |next )?task is to|(?:start|begin|open)(?: the \w+)?"
    r"(?: off)? (?:by|with)|go ahead and|make sure to|be sure to|feel free to|[,:*•\-\d.]+)\s+",
    re.IGNORECASE,
)
_USER = "user|customer|caller|guest|person|visitor|client|player"
_WHOM = rf"(?:\s+(?:to|with|at|from))?(?:\s+(?:the |our |your )?(?:{_USER}|them|him|her|everyone))?"
_HELLO = r"hello|hi|hey|welcome|good (?:morning|day|evening|afternoon)"
_THEY = r"(?:they|he|she|the user|the customer)(?:'d| would)?"
_VERBS_OF: tuple[tuple[Kind, str], ...] = (
    (
        "goodbye",
        r"(?:say(?:ing)?|bid(?:ding)?|wish(?:ing)?)(?:\s+\w+){0,2}\s+(?:good ?bye|farewell|bye|good night)",
    ),
    ("goodbye", r"end the (?:call|conversation)"),
    ("thank", r"thank(?:ing)?|say(?:ing)? (?:thanks|thank you)|express (?:your )?(?:thanks|gratitude)"),
    ("apologise", r"apologi[sz](?:e|ing)|say(?:ing)? (?:that )?(?:you are |you're )?sorry"),
    ("introduce", rf"introduc(?:e|ing) (?:yourself|who you are)|(?:say|tell)(?:ing)?{_WHOM} who you are"),
    ("greet", rf"greet(?:ing)?|welcom(?:e|ing)|say(?:ing)? (?:a (?:friendly |warm )?)?(?:{_HELLO})"),
    ("greet", r"(?:with )?a(?: \w+)? greeting|give(?: \w+){0,3} greeting"),
    ("offer", r"offer(?:ing)?(?: to help| your| some| any)?"),
    ("offer", rf"ask(?:ing)?{_WHOM} (?:how|what|if|whether) you (?:can|could|may) (?:help|assist|be of|do)"),
    (
        "offer",
        rf"ask(?:ing)?{_WHOM} (?:if|whether) {_THEY} (?:need|want|like)s? (?:any |some )?(?:help|assistance)",
    ),
)
_ACTS: list[tuple[Kind, re.Pattern[str]]] = [
    (kind, re.compile(rf"^(?:{verbs})\b", re.IGNORECASE)) for kind, verbs in _VERBS_OF
]
_ASK = re.compile(r"^(?:ask(?:ing)?|inquire|find out|request)" + _WHOM + r"\s+(?P<what>.+)$", re.IGNORECASE)
_QUESTION = re.compile(
    r"\b(?:ask(?:ing)?|find out|see|check|tell|let)" + _WHOM + r"(?: know)?\s+(?:if|when|whether)\b", re.IGNORECASE
)
_TELL = re.compile(
    r"^(?:tell(?:ing)?|inform(?:ing)?|remind(?:ing)?|notify|let|say(?:ing)?|announc(?:e|ing)|explain(?:ing)?|mention"
    r"|confirm(?:ing)?|describe)" + _WHOM + r"(?:\s+know)?\s+(?P<what>.+)$",
    re.IGNORECASE,
)
_VERBS = frozenset("is are was were will would can could has have had must should may might do does did am".split())
_AUXILIARIES = _VERBS - {"do", "does", "did"}
_SHORT = re.compile(r"\w+['’](?:ll|re|ve|d|m|s)\b")
_FORMS = {"is": "are", "was": "were", "has": "have", "does": "do", "wants": "want", "needs": "need", "likes": "like"}
_OTHERS = re.compile(
    r"\b(?P<their>(?:the )?(?:user|customer|caller|guest|visitor|client|player)(?:'s|’s)|their|his)\b"
    r"|\b(?P<they>they|he|she)(?P<short>'re|'d|'ve|'ll|'s)?\b"
    r"|\b(?P<them>them|him|(?:the )?(?:user|customer|caller|guest|visitor|client|player))\b"
    r"(?: (?P<verb>is|was|has|does|wants|needs|likes)\b)?"
    r"|\b(?P<themself>themselves|themself|himself|herself)\b"
    r"|\b(?P<your>your)\b|\b(?P<yourself>yourself)\b|\byou(?P<you>'re|'ll|'ve|'d| are| were)?\b",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\b(?:[Yy]our name is|[Yy]ou are called|[Cc]all yourself|[Yy]ou are|[Yy]ou're|[Yy]ou will be)\s+"
    r"(?P<name>(?!AI\b|LLM\b|GPT\b)[A-Z][\w'-]+(?: [A-Z][\w'-]+)?)"
)

_READING = re.compile(
    r"\b(?:speak|read|say|repeat|recite|echo)(?:ing)?\b(?: back)?[^.!?]{0,20}?"
    rf"(?:\bwhat(?:ever)? (?:the )?(?:{_USER}) (?:says|writes|types|sends)"
    rf"|\b(?:the |each |every )?(?:(?:{_USER}|input|given|provided)(?:'s|’s)? )?(?:messages?|texts?|words|input)\b)"
    r"[^.!?]*?\b(?:aloud|out loud|exactly|verbatim|word for word|literally|as (?:it is )?written|unchanged)\b",
    re.IGNORECASE,
)
_GIVEN_HERE = re.compile(r"\b(?:following|this|these)\b", re.IGNORECASE)
_ABOUT_THEM = re.compile(rf"\bthe (?:{_USER})\b", re.IGNORECASE)


def directives(text: str) -> tuple[Directive, ...]:
    """What is asked to be said now, in its order; empty where nothing of it is understood."""
    text = text.strip()
    if whole := _VERBATIM.match(text):
        said = whole["text"].strip()
        return (Directive("say", _unquoted(said)),)
    found: list[Directive] = []
    for sentence in _sentences(text):
        quoted = list(_QUOTED.finditer(sentence))
        if quoted and not _NOT_NOW.search(sentence[: quoted[0].start("double" if quoted[0]["double"] else "single")]):
            found += (Directive("say", (match["double"] or match["single"]).strip()) for match in quoted)
        elif not _NOT_NOW.search(_QUESTION.sub("ask", sentence.partition(" that ")[0])):
            found += _steps(sentence)
    return tuple(found)


def reads_aloud(text: str) -> bool:
    """Whether the user's words are to be read aloud rather than answered, as of a voice that others write for."""
    for sentence in _sentences(text):
        found = _READING.search(sentence)
        if found and not _NOT_NOW.search(sentence[: found.start()]) and not _GIVEN_HERE.search(found[0]):
            return True
    return False


def asked_of_us(text: str) -> bool:
    """Whether a written message is no user's but tells us what to do: it speaks of the user, or asks for a greeting."""
    wanted = directives(text)
    about_them = _ABOUT_THEM.search(text) is not None
    return bool(wanted) and (about_them or all(part.kind in ("greet", "introduce") for part in wanted))


def persona_name(text: str) -> str | None:
    """The name that instructions give to whoever follows them."""
    found = _NAME.search(text)
    return found["name"] if found else None


def asks_for_name(text: str) -> bool:
    """Whether somebody wants to know who speaks."""
    words = " ".join(re.findall(r"[a-z']+", text.lower().replace("’", "'")))
    return any(asked in words for asked in ("your name", "who are you", "what are you called", "what do i call you"))


def _sentences(text: str) -> Iterator[str]:
    """Sentences; a mark inside quotes ends none."""
    kept: list[str] = []

    def hide(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    for sentence in _SENTENCE.split(re.sub(_QUOTE, hide, text)):
        sentence = re.sub(r"\0(\d+)\0", lambda found: kept[int(found[1])], sentence).strip()
        if sentence:
            yield sentence


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] + text[-1] in ('""', "''", "“”", "‘’", "«»") else text


def _steps(sentence: str) -> Iterator[Directive]:
    """The parts of "greet the user and ask for their name"; what follows a part that is no directive belongs to it."""
    parts: list[str] = []
    for part in _STEP.split(sentence.rstrip(" .!?")):
        if parts and not _directive(_stripped(part)):
            parts[-1] += f" and {part}"
        else:
            parts.append(part)
    for part in parts:
        if made := _directive(_stripped(part)):
            yield made


def _stripped(part: str) -> str:
    while (rest := _LEADING.sub("", part)) != part:
        part = rest
    return part.strip()


def _directive(part: str) -> Directive | None:
    for kind, pattern in _ACTS:
        if pattern.match(part):
            return Directive(kind)
    if asked := _ASK.match(part):
        return Directive("say", question(asked["what"]))
    if tell := _TELL.match(part):
        what = re.sub(r"^that\s+", "", tell["what"], flags=re.IGNORECASE)
        clause = _SHORT.match(what) or (
            _VERBS & set(what.lower().split()[1:4]) and not re.match("wh|how", what.lower())
        )
        if what != tell["what"] or clause:
            return Directive("say", _sentence_of(_turned(what)))
        return Directive("topic", _turned(what))
    return None


def question(what: str) -> str:
    """The question that "ask for …", "ask whether …", "ask what …" speak of."""
    head, _, rest = what.partition(" ")
    rest = _turned(rest)
    match head.lower():
        case "for":
            return f"May I have {rest}?"
        case "about":
            return _sentence_of(f"tell me about {rest}, please")
        case "if" | "whether":
            return _asked("", rest)
        case "to":
            return f"Could you {rest}, please?"
        case "what" | "which" | "how" | "when" | "where" | "who" | "why" | "whom" | "whose":
            if rest.startswith("to "):
                return _sentence_of(f"{head} would you like {rest}", "?")
            return _asked(head, rest)
        case _:
            return _sentence_of(f"May I have {_turned(what)}", "?")


def _asked(head: str, clause: str) -> str:
    """A clause as a question: "they would like milk" becomes "Would you like milk?"."""
    words = clause.split()
    place = next((n for n, word in enumerate(words) if word.lower() in ("you", "i")), None)
    verb = next((n for n, word in enumerate(words) if word.lower() in _AUXILIARIES), None)
    if place is not None and place + 1 < len(words) and (verb is None or verb > place):
        before, subject, rest = words[:place], words[place], words[place + 1 :]
        main = rest[0].lower()
        if main in _AUXILIARIES and not (
            main in ("have", "has", "had") and (len(rest) < 2 or rest[1] in "a an any some the".split())
        ):
            words = [*before, main, subject, *rest[1:]]
        else:
            words = [*before, "do", subject, *rest]
    elif verb is not None and verb > 0:  # "what your name is"
        words = [words[verb], *words[:verb], *words[verb + 1 :]]
    return _sentence_of(" ".join([head, *words]).strip(), "?")


def _turned(text: str) -> str:
    """Words about the user as words to the user."""

    def turn(found: re.Match[str]) -> str:
        if found["their"]:
            return "your"
        if found["they"]:
            return "you" + {"'s": "'re"}.get(found["short"] or "", found["short"] or "")
        if found["them"]:
            return f"you {_FORMS[found['verb'].lower()]}" if found["verb"] else "you"
        if found["themself"]:
            return "yourself"
        if found["your"]:
            return "my"
        if found["yourself"]:
            return "myself"
        short = found["you"] or ""
        return "I" + {"'re": "'m", " are": " am", " were": " was"}.get(short, short)

    return re.sub(r"\b(help|assist|call|reach|contact|see|hear|tell) I\b", r"\1 me", _OTHERS.sub(turn, text.strip()))


def _sentence_of(text: str, mark: str = ".") -> str:
    text = text.strip().rstrip(".?!")
    return f"{text[:1].upper()}{text[1:]}{mark}"
