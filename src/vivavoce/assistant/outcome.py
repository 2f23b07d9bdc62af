"""What a called tool gave back, as words that can be said: a fact or two, that it worked, or that it did not."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vivavoce.models.mind import plain_words

_MOST_FACTS, _MOST_WORDS, _DEEPEST, _LISTED = 3, 30, 3, 4
_DONE = frozenset(
    """ok okay true yes done success successful succeeded completed complete accepted created null none undefined
    confirmed received placed ordered added saved updated sent ack acknowledged status result 200 201 202 204""".split()
)
_FAILED = frozenset("false error failed failure fail rejected denied invalid unavailable exception timeout".split())
_FLAGS = frozenset("success succeeded ok okay successful".split())
_ERRORS = frozenset("error errors exception fault".split())
_SENTENCES = ("message", "text", "summary", "answer", "speech", "say", "detail", "details", "reason")
_WRAPPERS = frozenset("result results data output response content value body payload".split())
_NAMES = ("name", "title", "label", "description")
_UNSAID = frozenset("id ids uuid guid token url uri href hash etag timestamp version type code".split())
_UNITS = frozenset("second seconds minute minutes hour hours day days percent degrees".split())
_WAITING = frozenset("eta wait waiting ready time duration in".split())
_REPEATING = _DONE | frozenset(
    """your you my the a an i we it its has have been is are was were will be for with and of to in order drink item
    successfully now on way being""".split()
)
_SPLIT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\d])|[\r\n]+")
_ADDRESS = re.compile(r"\w+://\S+|<[^>]*>")
_INSTANT = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_CODE = re.compile(r"[0-9a-f]{12,}|[0-9a-f]{8}-[0-9a-f-]{20,}|(?=\w*\d)(?=\w*[A-Za-z])\w{14,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether it worked, and what there is to tell; ``facts`` is empty where there is nothing."""

    worked: bool = True
    facts: str = ""


def outcome(results: Iterable[str], known: Iterable[str] = ()) -> Outcome:
    """The results of one or several calls, JSON or text, in few words.

    ``known`` is what has been said anyway, such as the arguments of the calls; a result that only repeats it tells
    nothing. What cannot be said (identifiers, addresses, other scripts) is left out.
    """
    said = {word for text in known for word in plain_words(text)}
    found = [_outcome(_value(result), said) for result in results]
    worked = all(one.worked for one in found)
    facts = [one.facts for one in found if one.facts and one.worked == worked]
    return Outcome(worked, ", ".join(dict.fromkeys(facts)))


def _value(result: str) -> Any:
    """What a text stands for: JSON, what Python prints of lists and dictionaries, or itself."""
    text = result.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if text[:1] in "{[(":
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            pass
    return text


def _outcome(value: Any, said: set[str], depth: int = 0) -> Outcome:
    if isinstance(value, dict):
        if depth >= _DEEPEST:
            return Outcome()
        return _of_object({str(key): inner for key, inner in value.items()}, said, depth)
    if isinstance(value, list | tuple | set):
        return Outcome(True, _series(value, said))
    if isinstance(value, str):
        return _of_text(value, said)
    if isinstance(value, bool) or value is None:
        return Outcome(value is not False)
    return Outcome(True, _scalar(value))


def _of_text(text: str, said: set[str]) -> Outcome:
    lines = _SENTENCE.split(text.strip())
    if lines[0].lower().startswith("traceback"):
        lines = lines[-1:]
    head, _, rest = lines[0].partition(":")
    if any(word in _FAILED for word in (w.lower() for w in _SPLIT.findall(head))) and len(head.split()) < 4:
        return Outcome(False, _sayable(rest, set()))
    return Outcome(True, _sayable(lines[0], said))


def _of_object(value: dict[str, Any], said: set[str], depth: int) -> Outcome:
    keys = {key: [part.lower() for part in _SPLIT.findall(key)] for key in value}
    worked = True
    for key, inner in value.items():
        name = keys[key][-1:] or [""]
        if name[0] in _ERRORS and inner:
            reason = inner.get("message", "") if isinstance(inner, dict) else "" if inner is True else inner
            return Outcome(False, _sayable(str(reason) or str(value.get("message", "")), set()))
        if name[0] in _FLAGS and inner is False:
            worked = False
        if name[0] in ("status", "state", "code"):
            worked &= not (isinstance(inner, int) and inner >= 400) and str(inner).strip().lower() not in _FAILED
    for name in _SENTENCES:
        found = next((inner for key, inner in value.items() if keys[key] == [name]), None)
        if isinstance(found, str) and found.strip():
            sentence = _of_text(found, said if worked else set())
            return Outcome(worked and sentence.worked, sentence.facts)
    if len(value) == 1 or all(keys[key][-1:] and keys[key][-1] in _WRAPPERS | _FLAGS | {"status"} for key in value):
        inner = next((inner for key, inner in value.items() if keys[key][-1:] and keys[key][-1] in _WRAPPERS), None)
        if inner is not None:
            wrapped = _outcome(inner, said, depth + 1)
            return Outcome(worked and wrapped.worked, wrapped.facts)
    return Outcome(worked, ", ".join(list(_facts(value, keys, said, depth))[:_MOST_FACTS]) if worked else "")


def _facts(value: dict[str, Any], keys: dict[str, list[str]], said: set[str], depth: int) -> Iterator[str]:
    """What can be told of an object's members, one after the other."""
    for key, inner in value.items():
        name = keys[key]
        if not name or name[-1] in _UNSAID | _FLAGS or inner is None:
            continue
        if isinstance(inner, bool):
            yield " ".join(name if inner else ["not", *name])
        elif isinstance(inner, dict):
            nested = _outcome(inner, said, depth + 1)
            if nested.facts:
                yield nested.facts
        elif isinstance(inner, list | tuple):
            if listed := _series(inner, said):
                yield f"{' '.join(name)} {listed}"
        elif name[-1] in ("status", "state"):
            if not isinstance(inner, int) and (text := _sayable(str(inner).replace("_", " "), said)):
                yield text
        elif text := _scalar(inner) if not isinstance(inner, str) else _sayable(inner.replace("_", " "), said):
            unit = name[-1] if name[-1] in _UNITS and not isinstance(inner, str) else ""
            name = [part for part in (name[:-1] if unit else name) if not (unit and part in _WAITING)]
            yield " ".join(filter(None, [*name, text, unit]))


def _series(values: Iterable[Any], said: set[str]) -> str:
    """A few of several things: "one, two and three"."""
    named: list[str] = []
    for value in values:
        text = (
            next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
            if isinstance(value, dict)
            else value
        )
        thing = _sayable(text, set()) if isinstance(text, str) else _outcome(value, set(), _DEEPEST - 1).facts
        if thing:
            named.append(thing)
    if set(plain_words(" ".join(named))) <= said:
        return ""
    if len(named) > _LISTED:
        named = [*named[: _LISTED - 1], f"{len(named) - _LISTED + 1} more"]
    return " and ".join(filter(None, [", ".join(named[:-1]), named[-1]])) if named else ""


def _scalar(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _sayable(text: str, said: set[str]) -> str:
    """The first sentence of a text in at most 30 words; nothing for one that says nothing new."""
    text = _CODE.sub("", _ADDRESS.sub("", _INSTANT.sub(_spoken_instant, _SENTENCE.split(text.strip())[0])))
    text = " ".join(re.sub(r"[*_`#{}\[\]\"|\\]+", " ", text).split())
    words = plain_words(text)
    new = [word for word in words if word not in _REPEATING and word not in said]
    if not new or len(text) > 12 * _MOST_WORDS:
        text = "" if not new else " ".join(text.split()[:_MOST_WORDS])
    cut = text.split()
    return " ".join(cut[:_MOST_WORDS]).rstrip(" .,;:")


def _spoken_instant(found: re.Match[str]) -> str:
    return f"{int(found[2])}:{found[3]} on {found[1]}"
