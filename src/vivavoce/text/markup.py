"""Tags in a text: SSML's pauses, replacements and ways of reading are followed, all others leave out the tag alone."""

import re
from typing import Final

TAG: Final = re.compile(
    r"<(?P<close>/)?(?P<name>[A-Za-z][\w:-]{0,30})"
    r"(?P<rest>(?:\s+[\w:-]{1,30}\s*=\s*(?:\"[^\"<]{0,300}\"|'[^'<]{0,300}'))*)\s*"
    r"(?P<empty>/)?>|<!--.{0,300}?-->|<\?.{0,200}?\?>",
    re.DOTALL,
)
MAYBE_TAG: Final = re.compile(r"<(?:[A-Za-z/!?][^<>]{0,399})?\Z")
"""What may become a tag when more of the text comes."""
WHOLE: Final = frozenset({"sub", "say-as"})
"""Elements that are read in one piece."""
LONGEST_ELEMENT: Final = 400
KNOWN: Final = frozenset(
    """speak break sub say-as emphasis prosody p s voice audio phoneme lang mark w token lexicon desc metadata seq par
    media bookmark amazon:effect amazon:domain mstts:express-as b i u em strong br div span a ul ol li h1 h2 h3 h4 h5 h6
    code pre table tr td th thead tbody img hr blockquote sup small html body head del ins font center""".split()
)
"""Names that are tags wherever they stand; others are in a ``<speak>`` document, or where they look like one."""
ENDS: Final = frozenset({"p", "s", "br", "li", "div", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "speak", "break", "hr"})
"""Tags that a phrase ends with."""
_ATTRIBUTE: Final = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_STRENGTHS: Final = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 1.5}
LONGEST_PAUSE: Final = 10.0


def attributes(written: str) -> dict[str, str]:
    """Of a tag; the last of two that have one name."""
    return {found[1].lower(): found[2] if found[2] is not None else found[3] for found in _ATTRIBUTE.finditer(written)}


def pause_of(given: dict[str, str]) -> float:
    """Seconds of a ``break``, at most ten."""
    found = re.fullmatch(r"\+?(\d{0,6}(?:\.\d{1,6})?)(ms|s)", given.get("time", "").strip())
    if found and found[1]:
        return min(LONGEST_PAUSE, float(found[1]) / (1000 if found[2] == "ms" else 1))
    return _STRENGTHS.get(given.get("strength", "medium"), 0.5)


def is_tag(found: re.Match[str], inside: bool) -> bool:
    """Whether that is a tag and not two signs around something; ``inside`` a ``<speak>`` document everything is."""
    name = found["name"]
    if name is None or inside or name.lower() in KNOWN:
        return True
    return bool(found["close"] or found["empty"] or found["rest"])


def element(text: str, found: re.Match[str]) -> re.Match[str] | None:
    """The closing tag of an element that is read in one piece, where it has come."""
    closing = re.compile(rf"</{re.escape(found['name'])}\s*>", re.IGNORECASE)
    return closing.search(text, found.end(), found.end() + LONGEST_ELEMENT)
