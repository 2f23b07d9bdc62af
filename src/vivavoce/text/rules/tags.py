"""Tags of SSML and HTML."""

import re
from collections.abc import Sequence
from typing import Final

from vivavoce.text import markup, numbers
from vivavoce.text.rules.dates import is_date, short_year
from vivavoce.text.rules.words import spelled
from vivavoce.text.scan import Rule, Scan
from vivavoce.text.written import MONTH_NAMES


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
            said = scan.inner(given["alias"]) if name == "sub" and "alias" in given else _said_as(scan, inside, given)
            scan.put(closing.end(), said)
            return []
    if name not in markup.WHOLE or not found["close"]:
        around.dropped.add(name)
    return ["."] if name in markup.ENDS and scan.tokens else []


def _said_as(scan: Scan, inside: str, given: dict[str, str]) -> list[str]:
    plain, how = inside.strip(), given.get("interpret-as", "")
    digits = re.sub(r"\D", "", plain)
    if how in {"characters", "spell-out", "verbatim", "letters"}:
        return [word for char in plain if not char.isspace() for word in spelled(char) or scan.inner(char)]
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
        scan.around.dropped.add("say-as")
    return scan.inner(plain)


def _date_as(plain: str, order: str) -> list[str] | None:
    parts = re.findall(r"\d+", plain)
    if not re.fullmatch(r"[mdy]{2,3}", order) or len(parts) != len(order):
        return None
    found = dict(zip(order, map(int, parts), strict=True))
    year = short_year(parts[order.index("y")]) if "y" in found else None
    if "d" not in found or "m" not in found or not is_date(found["m"], found["d"]):
        return None
    return [
        MONTH_NAMES[found["m"] - 1],
        *numbers.ordinal(found["d"]),
        *(numbers.year(year) if year is not None else []),
    ]


TAG: Final[Rule] = (markup.TAG, _say_tag)
