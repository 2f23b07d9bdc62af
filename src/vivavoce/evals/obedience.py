"""Whether a language model with ears does what it is asked, at several scales of its small maps.

What was learnt of one task has a pull: whatever is asked, a model may go on writing down what is said (SALMONN,
arXiv:2310.13289 §3.3.2). So the same recordings are asked about with other instructions, and what is counted is whether
the answer is of the kind that was asked for; the control is how often a transcript is of that kind by itself.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from vivavoce.core.progress import Log
from vivavoce.core.streams import sound
from vivavoce.data.phrasings import phrased
from vivavoce.evals import intervals
from vivavoce.evals.listening import Clip
from vivavoce.evals.report import Row, Table
from vivavoce.evals.word_errors import plain
from vivavoce.models.bridge import Bridged
from vivavoce.nn.lora import scale_lora
from vivavoce.systems.salmonn import Salmonn

_MEN, _WOMEN = frozenset({"man", "male", "he"}), frozenset({"woman", "female", "she"})
_PACES = frozenset({"slow", "slowly", "fast", "quick", "quickly", "normal", "normally"})
_WORD = "banana"
"""Nobody says it in the recordings."""
_SHORT = 8
"""Words that an answer of a kind has at most."""
_ROWS, _MOST = 16, 24
Kind = Callable[[Sequence[str]], bool]


@contextmanager
def at_scale(system: Salmonn, share: float) -> Iterator[None]:
    """Within it, small maps count this share of their scale."""
    own = system.scale
    system.scale = own * share
    scale_lora(system.model, system.scale)
    try:
        yield
    finally:
        system.scale = own
        scale_lora(system.model, own)


def who(words: Sequence[str]) -> str:
    """M or F where a short answer names a man or a woman, and not both."""
    named = {"M": bool(_MEN & {*words}), "F": bool(_WOMEN & {*words})}
    return "" if len(words) > _SHORT or named["M"] == named["F"] else "M" if named["M"] else "F"


def _paced(words: Sequence[str]) -> bool:
    return len(words) <= _SHORT and bool(_PACES & {*words})


def _told(words: Sequence[str]) -> bool:
    return len(words) <= _SHORT and _WORD in words


_ASKED: tuple[tuple[str, str, str, Kind], ...] = (
    ("who speaks", "names a man or a woman", phrased("who", "…"), lambda words: bool(who(words))),
    ("how fast", "names a pace", phrased("pace", "…"), _paced),
    ("for a word that nobody said", "says it", f"… \nSay only the word {_WORD}.", _told),
)
"""What is asked for, what an answer of that kind does, the question."""


def obedience_table(system: Salmonn, clips: Sequence[Clip], scales: Sequence[float], say: Log) -> Table:
    """What a model does of what it is asked about recordings, at shares of the scale of its small maps."""
    table = Table("What is asked is done (dev speech)")
    heard = [system.heard(sound(clip.wave, clip.sample_rate)) for clip in clips]

    def add(name: str, right: Sequence[bool], remark: str = "") -> None:
        table.rows.append(Row(name=name, value=intervals.share(right), remark=remark))
        say(f"{name}: {table.rows[-1].shown()}")

    for scale in scales:
        at = "" if scale == 1 else f", small maps at {scale:g} of their scale"
        with at_scale(system, scale):
            wanted = system.model.config.question or phrased("recognise", "…")
            plainly = [plain(text) for text in answers(system, heard, wanted)]
            for name, does, question, kind in _ASKED:
                found = [plain(text) for text in answers(system, heard, question)]
                for clip, words in list(zip(clips, found, strict=True))[:2]:
                    say(f"  {clip.text}\n  → {' '.join(words)}")
                add(f"asked {name}: {does}{at}", [kind(words) for words in found])
                if name == "who speaks" and (
                    known := [(who(w), c.sex) for w, c in zip(found, clips, strict=True) if c.sex]
                ):
                    add(f"— the right one{at}", [told == sex for told, sex in known], "by chance at most 50 %")
                add(f"— {does}, asked for what is said{at}", [kind(words) for words in plainly], "control")
    return table


def answers(system: Salmonn, heard: Sequence[Bridged], question: str) -> list[str]:
    """The answers to one question about recordings that the bridge has heard, many at a time."""
    order = sorted(range(len(heard)), key=lambda number: int(heard[number].counts[0]))
    found = [""] * len(heard)
    for begin in range(0, len(order), _ROWS):
        some = order[begin : begin + _ROWS]
        texts = system.answers([heard[number] for number in some], question, most=_MOST)
        for number, text in zip(some, texts, strict=True):
            found[number] = text
    return found
