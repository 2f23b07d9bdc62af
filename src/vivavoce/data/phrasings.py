"""How tasks are asked for, in many wordings: a model that was taught one wording knows the wording, not the task.

A wording is a choice of each of its parts, so a few lines make some hundred (SpeechGPT, arXiv:2305.11000 §3.2, has a
language model write them; SALMONN, arXiv:2310.13289, has a pool per task). ``…`` stands for what is heard or read.
"""

from collections.abc import Mapping
from functools import cache
from itertools import product

import numpy as np

_PLEASE = ("", "Please ", "Could you ", "Now ", "I would like you to ")
_HEARD = ("this recording", "the speech", "what is said here", "this sound")
_PARTS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "recognise": (
        _PLEASE,
        ("write down ", "transcribe ", "put into writing ", "turn into text ", "give the words of "),
        _HEARD,
        (": …", ". …", ", word for word: …"),
    ),
    "synthesise": (
        _PLEASE,
        ("say ", "speak ", "read out ", "read aloud ", "pronounce ", "turn into speech "),
        ("this text", "this sentence", "the following", "what is written here"),
        (": …", " aloud: …", " for me: …"),
    ),
    "who": (
        ("… \n",),
        ("Is this ", "Who speaks: ", "Can you tell whether this is ", "Do you hear "),
        ("a man or a woman?", "a woman or a man?"),
    ),
    "pace": (
        ("… \n",),
        ("How fast ", "At which pace ", "How quickly "),
        ("does this person speak?", "is this said?", "does the speaker talk?"),
    ),
    "pitch": (
        ("… \n",),
        ("Is this voice ", "Would you call this voice ", "Does this person speak in a voice that is "),
        ("low or high?", "high or low?"),
    ),
    "sound": (
        ("… \n",),
        ("Which sound ", "What sound ", "What kind of sound "),
        ("is this?", "do you hear?", "is to be heard here?"),
    ),
    "speech to speech": (
        ("Somebody speaks to you: …", "Listen to this: …", "Here is a spoken question: …"),
        ("\nWrite it down", "\nFirst transcribe it", "\nNote what was said"),
        (", then answer in writing, then say your answer.", ", think of an answer, and speak it."),
    ),
    "speech to text": (
        ("Somebody speaks to you: …", "Listen to this: …", "Here is a spoken question: …"),
        ("\nWrite it down", "\nFirst transcribe it", "\nNote what was said"),
        (", then answer in writing.", ", and write an answer."),
    ),
    "text to speech": (
        ("… \nAnswer ", "… \nThink of an answer "),
        ("in writing, then say it.", "and speak it aloud.", "and read it out."),
    ),
    "text to text": (("…",),),
}


@cache
def phrasings(task: str) -> tuple[str, ...]:
    """All wordings of a task."""
    return tuple("".join(parts) for parts in product(*_PARTS[task]))


def phrased(task: str, content: str, draw: np.random.Generator | None = None) -> str:
    """One of the wordings, drawn (the first without ``draw``), with its content."""
    known = phrasings(task)
    chosen = known[0] if draw is None else known[int(draw.integers(len(known)))]
    return chosen.replace("…", content)
