"""Whose ears a request means and how they are to hear, checked against what the operator loaded."""

import re
from collections.abc import Sequence

from vivavoce.runtime.model import EarsInfo, HearingOptions
from vivavoce.server.names import MODELS, OURS, UnknownModel
from vivavoce.server.problems import Problem

Ears = tuple[EarsInfo, ...]
AUTO = "auto"


def ears_of(model: str | None, ears: Ears) -> EarsInfo:
    """The ears of this name; ours and OpenAI's names mean the first. UnknownModel lists what there is."""
    for info in ears:
        if info.name == model:
            return info
    if model in (None, OURS) or model in MODELS["transcription"]:
        return ears[0]
    raise UnknownModel(model or "", "transcription", [info.name for info in ears])


def language_of(languages: Sequence[str], info: EarsInfo, param: str) -> str:
    """The code of a language that was named, `AUTO` where it is to be found out, empty where none was named.

    Problem when these ears know none of those that were named.
    """
    codes = [_code(name) for name in languages]
    known = [code for code in codes if code == AUTO or code in info.languages]
    if codes and not known:
        if info.languages == ("en",):
            message = f"The language '{languages[0]}' is not understood; English ('en') is."
        else:
            message = f"{info.name} does not know the language '{languages[0]}'; it knows {', '.join(info.languages)}."
        raise Problem(message, "not_supported", param)
    return known[0] if len(codes) == 1 else AUTO if codes else ""


def _code(name: str) -> str:
    code = re.split("[-_]", name.strip().lower())[0]
    return "en" if code in ("eng", "english") else code


def hearing_of(
    info: EarsInfo,
    language: str,
    *,
    prompt: str | None = None,
    keywords: Sequence[str] | None = None,
    translate: bool = False,
    find_out: bool = False,
) -> HearingOptions:
    """How to hear with these ears; ``find_out``: the language, where none was named and they know several.

    Problem when they are to translate and do not.
    """
    if translate and not info.translates:
        message = (
            f"The ears '{info.name}' know one language and do not translate; "
            "whoever runs this server can load others, such as --ears whisper-base."
        )
        raise Problem(message, "not_supported", "model")
    several = len(info.languages) > 1
    return HearingOptions(
        ears=info.name,
        language=language or (AUTO if find_out and several else ""),
        translate=translate,
        prompt=prompt or "",
        keywords=tuple(keywords or ()),
    )
