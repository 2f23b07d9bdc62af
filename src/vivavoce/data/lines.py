"""Files with a text or a conversation a line, as ids of a chat model's text."""

import json
from pathlib import Path

from vivavoce.core.errors import TextError
from vivavoce.models.trunk import ChatText, without_holes


def text_pieces(path: Path, text: ChatText, most: int) -> list[tuple[list[int], list[int]]]:
    """The lines of a file, each a text or a conversation (a JSON list of messages): ids that are given, ids to learn.

    A text gives nothing, a conversation all but its last message. Together they have ``most`` ids at most.
    TextError when there are no lines or one cannot be read.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(f"the text {path} cannot be read ({error}); give UTF-8 text, a line each") from error
    if not lines:
        raise TextError(f"the text {path} is empty; give a text or a conversation a line")
    found = []
    for line in lines:
        given, learnt = [], line
        if line.startswith("[{"):
            try:
                *before, last = json.loads(line)
                given, learnt = text.around(without_holes(text, before))[0], last["content"]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise TextError(f"a line of {path} is no list of messages ({error}): {line[:80]}") from error
        found.append((given[:most], text.plain(learnt)[: max(most - len(given), 0)]))
    return found
