"""Those who talk to a character as recordings: what its sheet says they say, spoken by machines, with a manifest."""

import json
from pathlib import Path

import soundfile

from vivavoce.core import rng
from vivavoce.core.atomic import atomic_write
from vivavoce.data.character import Character
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


def synthesise(out: Path, sheet: Path = DEFAULT, *, count: int = 1000, seed: int = 1, orders: float = 0.75) -> Path:
    """Writes ``count`` sentences as FLAC files and the manifest that lists them, and gives the manifest's path.

    ``orders`` is the share of sentences that order something. A sheet and a seed always give the same.
    """
    character = Character(load_sheet(sheet))
    some = round(count * orders)
    texts = [turn.user for turn in character.orders(some, seed)]
    texts += [turn.user for turn in character.talk(count - some, seed + 1)]
    texts = [texts[index] for index in rng.stream(seed, "order of texts").permutation(len(texts))]
    lines = []
    said = speak(readings(map(with_letters, texts), seed, engines=TEACHERS))
    for number, (text, spoken) in enumerate(zip(texts, said, strict=True)):
        name = f"clips/{number:05d}.flac"
        (out / "clips").mkdir(parents=True, exist_ok=True)
        with (
            atomic_write(out / name) as path,
            soundfile.SoundFile(path, "w", LISTENING_RATE, 1, format="FLAC", subtype="PCM_16") as file,
        ):
            file.comment = f"synthetic speech, made by {spoken.reading.engine}"
            file.write(spoken.wave)
        reading = spoken.reading
        lines.append(
            {
                "id": f"{number:05d}",
                "path": name,
                "split": "train",
                "speaker": f"{reading.engine}:{reading.voice}",
                "source": reading.engine,
                "licence": "synthetic speech, free of rights",
                "lang": "en",
                "text": text,
                "text_style": "lowercase, no punctuation",
                "seconds": round(spoken.seconds, 3),
                "sample_rate": LISTENING_RATE,
                "quality": "lossless",
            }
        )
    manifest = out / "manifest.jsonl"
    with atomic_write(manifest) as path:
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest
