"""Those who talk to a character as recordings: what its sheet says they say, spoken by machines, with a manifest.

With somebody who speaks for the character its replies are recordings too, and ``pairs.jsonl`` says which answers which:
what a language model that hears and speaks (`recipes.speechgpt`) learns to answer from.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from vivavoce.core import rng
from vivavoce.core.atomic import atomic_write
from vivavoce.data.character import Character
from vivavoce.data.manifest import OWN_VOICE
from vivavoce.data.sheet import DEFAULT, load_sheet
from vivavoce.data.synthesis import LISTENING_RATE, TEACHERS, readings, speak


def with_letters(text: str) -> str:
    """The text with letters that are spelled written so that they are read as letters: "m. a. x.", not "m a x"."""
    words = text.split()
    single = [len(word) == 1 for word in words]
    spelled = [
        one and (single[place - 1 : place] == [True] or single[place + 1 : place + 2] == [True])
        for place, one in enumerate(single)
    ]
    return " ".join(f"{word}." if letter else word for word, letter in zip(words, spelled, strict=True))


PAIRS: Final = "pairs.jsonl"
_HELD: Final = 12
"""Where there are answers, what every so many-th voice asks is of the split dev."""
Speaks = Callable[[str], tuple[np.ndarray, int]]
"""A reply's sound, one channel, and its rate."""


def synthesise(
    out: Path, sheet: Path = DEFAULT, *, count: int = 1000, seed: int = 1, orders: float = 0.75,
    answers: Speaks | None = None,
) -> Path:  # fmt: skip
    """Writes ``count`` sentences as FLAC files and the manifest that lists them, and gives the manifest's path.

    ``orders`` is the share of sentences that order something. A sheet and a seed always give the same. With ``answers``
    the character's reply to each is said too, some voices are of the split dev, and the pairs are in ``pairs.jsonl``.
    """
    character = Character(load_sheet(sheet))
    some = round(count * orders)
    turns = [*character.orders(some, seed), *character.talk(count - some, seed + 1)]
    turns = [turns[index] for index in rng.stream(seed, "order of texts").permutation(len(turns))]
    lines, pairs = [], []
    wanted = readings((with_letters(turn.user) for turn in turns), seed, engines=TEACHERS)
    held = sorted({one.voice for one in wanted})[_HELD - 1 :: _HELD] if answers is not None else []
    known: dict[str, tuple[np.ndarray, int]] = {}
    for number, (turn, spoken) in enumerate(zip(turns, speak(wanted), strict=True)):
        name, reading = f"{number:05d}", spoken.reading
        split = "dev" if reading.voice in held else "train"
        sound = spoken.wave, LISTENING_RATE
        lines.append(
            _written(
                out, name, split, f"{reading.engine}:{reading.voice}", turn.user, sound, "lowercase, no punctuation"
            )
        )
        if answers is not None:
            if turn.reply not in known:
                known[turn.reply] = answers(turn.reply)
            lines.append(_written(out, f"{name}-answer", split, OWN_VOICE, turn.reply, known[turn.reply], "as written"))
            pairs.append({"question": name, "answer": f"{name}-answer"})
    manifest = out / "manifest.jsonl"
    for path, rows in ((manifest, lines), *([(out / PAIRS, pairs)] if pairs else [])):
        with atomic_write(path) as file:
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def _written(
    out: Path, name: str, split: str, speaker: str, text: str, sound: tuple[np.ndarray, int], style: str
) -> dict[str, Any]:
    """Writes a sound and gives its line of the manifest."""
    wave, rate = sound
    engine, path = speaker.partition(":")[0], f"clips/{name}.flac"
    (out / "clips").mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(out / path) as begun,
        soundfile.SoundFile(begun, "w", rate, 1, format="FLAC", subtype="PCM_16") as file,
    ):
        file.comment = f"synthetic speech, made by {engine}"
        file.write(wave)
    return {
        "id": name,
        "path": path,
        "split": split,
        "speaker": speaker,
        "source": engine,
        "licence": "synthetic speech, free of rights",
        "lang": "en",
        "text": text,
        "text_style": style,
        "seconds": round(len(wave) / rate, 3),
        "sample_rate": rate,
        "quality": "lossless",
    }
