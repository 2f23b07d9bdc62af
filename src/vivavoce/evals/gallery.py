"""Are the characters of the gallery told apart, do they sound as they are described, and are they nobody's clones?

Each is measured by signal processing alone on sentences that all of them say.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from vivavoce.core.description import traits_of
from vivavoce.core.gallery import GALLERY
from vivavoce.core.voice import Voice
from vivavoce.data.manifest import recordings
from vivavoce.evals import intervals
from vivavoce.evals.drive import SPEAKING_RATE, Assistant, said
from vivavoce.evals.listening import Log
from vivavoce.evals.melody import melody
from vivavoce.evals.people import measured_on, taught_from
from vivavoce.evals.report import Report, Row, Table
from vivavoce.evals.speakers import SpeakerSpace, Vector, cepstra
from vivavoce.evals.voices import EVERYDAY

Features = Float[np.ndarray, " D"]
_SHOWN, _ASKED = 3, 3
"""Sentences that show what each voice is like, and others whose voice is to be told."""
_PERCENTILE = 0.95
_SECONDS = 20
"""Of each stranger, about as much as of each character."""


def run(model: Assistant, speech: Path | None, say: Log = print) -> Report:
    """All tables; without recordings of people nobody's likeness is measured."""
    if speech is not None:
        recordings(speech, "train")  # says that there are none before everything is spoken
    report = Report("gallery", {"characters": len(GALLERY), "sentences": _SHOWN + _ASKED})
    heard: dict[str, list[Features]] = {}
    together: dict[str, np.ndarray] = {}
    for name in GALLERY:
        waves = [said(model, text, Voice.preset(name)) for text in EVERYDAY[: _SHOWN + _ASKED]]
        heard[name] = [features(wave.numpy()) for wave in waves]
        together[name] = np.concatenate([wave.numpy() for wave in waves])
        say(f"{name}: {', '.join(f'{value:.2f}' for value in np.mean(heard[name], axis=0)[:4])}")
    report.tables.append(recognised_characters(heard))
    report.tables.append(as_described(heard))
    if speech is not None:
        report.tables.append(nobody_s(together, speech))
    return report


def features(wave: Float[np.ndarray, " N"]) -> Features:
    """Pitch in octaves, level in dB, length, share of voice, and the mean cepstra, of a sentence at 24 kHz."""
    sound = torch.from_numpy(wave)
    heard = melody(sound, SPEAKING_RATE)
    pitch = np.log2(heard.pitch_hz) if heard.pitch_hz == heard.pitch_hz else 0.0
    colour = cepstra(sound, SPEAKING_RATE)
    own = colour[:, :12].mean(0) if len(colour) else np.zeros(12)
    return np.concatenate([[pitch, heard.level_db, np.log(max(heard.seconds, 0.1)), heard.voiced], own])


def recognised_characters(heard: Mapping[str, Sequence[Features]]) -> Table:
    """Whose voice a sentence is in: that character's whose other sentences are most alike."""
    names = list(heard)
    shown = np.stack([heard[name][:_SHOWN] for name in names])
    asked = np.stack([heard[name][_SHOWN:] for name in names])
    # how long a sentence is depends on its words: all say the same ones
    asked = asked - asked.mean(0) + shown.mean((0, 1))
    own = shown.mean(1)
    spread = np.sqrt(((shown - shown.mean(0) + shown.mean((0, 1)) - own[:, None]) ** 2).mean((0, 1))) + 1e-6
    away = (((asked[:, :, None] - own[None, None]) / spread) ** 2).sum(-1)
    right = [int(choice) == who for who, choices in enumerate(away.argmin(-1)) for choice in choices]
    table = Table("Characters of the gallery told apart")
    table.rows.append(
        Row(
            name="sentences whose character is told",
            value=intervals.share(right),
            floor="80 %",
            remark=f"by what is measured, of {len(names)}; chance is {100 / len(names):.0f} %",
        )
    )
    return table


def as_described(heard: Mapping[str, Sequence[Features]]) -> Table:
    """Rank correlation of what the descriptions ask for with what is measured, over the characters."""
    table = Table("Characters as they are described (rank correlation)")
    asked = {name: traits_of(GALLERY[name].description) for name in heard}
    for trait, column, sign in (("pitch", 0, 1), ("loudness", 1, 1), ("rate", 2, -1)):
        wanted = [getattr(asked[name], trait) for name in heard]
        measured = [sign * float(np.mean([one[column] for one in heard[name]])) for name in heard]
        table.rows.append(Row(name=trait, value=intervals.spearman(wanted, measured), unit=""))
    return table


def nobody_s(sounds: Mapping[str, np.ndarray], speech: Path) -> Table:
    """How near each character comes to a reader of the training recordings, beside how near strangers come."""
    taught = taught_from(speech)
    encoder = SpeakerSpace(
        [(one.speaker, part) for one in taught if len(part := cepstra(one.wave, one.sample_rate)) > 50]
    )
    readers: dict[str, list[Vector]] = {}
    for clip in taught:
        readers.setdefault(clip.speaker, []).append(encoder.vector(clip.wave, clip.sample_rate))
    centres = np.stack([_unit(np.mean(vectors, axis=0)) for vectors in readers.values()])
    unheard: dict[tuple[str, int], list[torch.Tensor]] = {}
    for clip in measured_on(speech):
        unheard.setdefault((clip.speaker, clip.sample_rate), []).append(clip.wave)
    strangers = [
        float((centres @ encoder.vector(torch.cat(waves)[: _SECONDS * rate], rate)).max())
        for (_, rate), waves in unheard.items()
    ]
    bound = float(np.quantile(strangers, _PERCENTILE))
    near = {
        name: float((centres @ encoder.vector(torch.from_numpy(sound), SPEAKING_RATE)).max())
        for name, sound in sounds.items()
    }
    table = Table("Likeness to readers of the training recordings")
    closest = max(near, key=lambda name: near[name])
    table.rows += [
        Row(name="strangers, nearest reader (cosine)", value=intervals.mean(strangers), unit=""),
        Row(name="characters, nearest reader (cosine)", value=intervals.mean(list(near.values())), unit=""),
        Row(
            name="characters nearer to a reader than 95 % of strangers are",
            value=intervals.share([value > bound for value in near.values()]),
            floor="0 %",
            remark=f"nearest is {closest}, {near[closest]:.2f}; the bound is {bound:.2f}",
        ),
    ]
    return table


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
