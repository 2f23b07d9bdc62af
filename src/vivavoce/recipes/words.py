"""How the listener's word model is made: those who talk to a character, people reading, and sentences of anything.

No step of gradient is taken; the model is counted. It knows orders as customers say them because the character sheet
generates them, and everything else from transcripts, so that speech which is no order is heard as what it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vivavoce.core.errors import TextError
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.character import Character
from vivavoce.data.sentences import sentences
from vivavoce.data.sheet import Sheet, find_sheet, load_sheet
from vivavoce.models.word_slots import SlotWords
from vivavoce.models.words import WordModel, Words, estimate
from vivavoce.text.normalise import normalise
from vivavoce.train.recipe import Given, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsRun:
    """How many sentences of each kind, what a sentence that is no order counts, the length of n-grams, and the seed.

    ``character`` is a name or the path of a sheet. With ``slots`` every filling of one of its slots counts as one word;
    see `models.word_slots`.

    Talk is drawn more often than it counts: it has many more wordings than orders have, and a wording that was never
    drawn is heard as something else.
    """

    character: str = "innkeeper"
    plain: int = 40000
    rich: int = 20000
    talk: int = 140000
    dialogues: int = 20000
    anything: int = 4000
    talk_counts: float = 0.4
    order: int = 4
    slots: bool = False
    least: float = 1.0
    seed: int = 1


def texts(run: WordsRun, transcripts: Iterable[str] = ()) -> Iterator[tuple[str, float]]:
    """Everything that the model is counted on, with what it counts."""
    sheet = load_sheet(find_sheet(run.character))
    character = Character(sheet)
    orders = [(run.plain, run.seed, False), (run.rich, run.seed + 1, True)]
    for count, seed, rich in orders:
        yield from ((_listed(sheet, turn.user), 1.0) for turn in character.orders(count, seed, rich=rich))
    yield from ((turn.user, run.talk_counts) for turn in character.talk(run.talk, run.seed + 2))
    for dialogue in character.dialogues(run.dialogues, run.seed + 3):
        yield from ((_listed(sheet, turn.user), 1.0) for turn in dialogue.turns)
    yield from ((text, 1.0) for text in sentences(run.anything, run.seed + 4))
    yield from ((text, 1.0) for text in transcripts)


def _listed(sheet: Sheet, text: str) -> str:
    """The text without words that are spelled after they were said, where the sheet does not list them.

    Each would be a word of the vocabulary that is said once; their letters are what the model is to know.
    """
    spelled = [slot for slot in sheet.tool.slots if slot.spelled]
    if not spelled:
        return text
    known = {value for slot in spelled for value in slot.values}
    words = text.split()
    return " ".join(
        word
        for place, word in enumerate(words)
        if len(word) < 2 or word in known or words[place + 1 : place + 1 + len(word)] != list(word)
    )


def make(run: WordsRun, transcripts: Iterable[str] = ()) -> Words:
    """The word model of a run; lines that cannot be read are left out."""

    def normalised() -> Iterator[tuple[list[str], float]]:
        for text, count in texts(run, transcripts):
            try:
                words = normalise(text)
            except TextError:
                continue
            if words:
                yield words, count

    slots = slots_of(load_sheet(find_sheet(run.character))) if run.slots else ()
    return estimate(normalised(), order=run.order, least=run.least, slots=slots)


def slots_of(sheet: Sheet) -> list[SlotWords]:
    """A sheet's slots as what counts as one word: every value alone, and within the phrases that it stands in."""
    found: list[SlotWords] = []
    for slot in sheet.tool.slots:
        if slot.spelled:
            forms = [form for value in slot.values for form in (f"{value} {' '.join(value)}", " ".join(value))]
        else:
            forms = [form for value in slot.every() for form in slot.forms(value)]
        said = tuple(" ".join(normalise(form)) for form in forms)
        found.append(SlotWords(token=f"<{slot.name}>", forms=said, open=slot.spelled))
        if slot.phrases:
            phrases = tuple(" ".join(phrase.lower().split()) for phrase in slot.phrases)
            found.append(
                SlotWords(token=f"<{slot.name} in its phrase>", phrases=phrases, forms=said, open=slot.spelled)
            )
    return found


def export(words: Words, out: Path, card: dict[str, Any]) -> Path:
    """Writes the part ``words``: keys of 32 bits and histories of 16 where they fit, probabilities of 16."""
    state = words.state_dict()
    if int(state["keys"].max()) < 2**31:
        state["keys"] = state["keys"].to(torch.int32)
    if words.config.histories <= 2**16:
        state |= {name: state[name].to(torch.uint16) for name in ("followers", "shorter")}
    return save_part(out, "words", words.config, state, card, torch.float16)


def transcripts_of(manifest: Path) -> list[str]:
    """Texts of the English training recordings of a manifest, long ones in pieces as they are read."""
    from vivavoce.data.manifest import read_manifest

    return [r.text for r in read_manifest(manifest) if r.split == "train" and r.lang == "en" and r.text]


def debug(folder: Path) -> dict[str, float]:
    """In seconds: how surprising held-out orders are, in nats a word, with few sentences counted and with more."""
    found = {}
    held = [turn.user.split() for turn in Character(held_out=True).orders(50, 1)]
    for name, count in (("before", 3), ("after", 300)):
        run = WordsRun(plain=count, rich=count, talk=count, dialogues=count // 3, anything=count)
        words = WordModel(load_part(export(make(run), folder / name, {}).parent, "words"))
        found[name] = -sum(words.sentence(text) for text in held) / sum(map(len, held))
    return found


def _run(run: WordsRun, given: Given) -> None:
    texts = transcripts_of(given.speech / "manifest.jsonl") if given.speech is not None else ()
    export(make(run, texts), given.out, {})


RECIPE = Recipe(
    part="words",
    settings=WordsRun(),
    train=_run,
    debug=debug,
    on_cpu=True,
    takes={"speech": "recordings whose texts are counted too"},
)
