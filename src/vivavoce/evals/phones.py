"""What learning from sound alone was worth: phone errors of fine-tuned encoders beside the same net without it.

Recordings of dev people by source, since spelled letters and audiobooks are not equally hard. Every model
hears the same recordings, so differences have intervals of their own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.core.errors import ConfigError, TextError
from vivavoce.core.parts import load_part
from vivavoce.core.progress import Log
from vivavoce.core.streams import sound
from vivavoce.data.choosing import in_turns, ranked
from vivavoce.data.manifest import Record, recordings
from vivavoce.evals import intervals
from vivavoce.evals.report import Report, Row, Table, names_of
from vivavoce.text.edit_distance import distance
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import ids
from vivavoce.text.pronounce import pronounce

RATE, _LEVEL_DB = 16_000, -23.0
"""As encoders that learn from sound alone get their recordings."""
Transcribe = Callable[[Float[Tensor, " N"]], list[int]]
"""Sound at 16 kHz to phones, by number."""


def run(
    models: Sequence[Path], control: Path | None, speech: Path, clips: int, say: Log, device: str = "cpu"
) -> Report:
    """Phone errors of folders with a part ``ctc`` and their differences to the one without what was learnt before.

    ConfigError where there is nothing to measure on.
    """
    chosen = _chosen(speech, clips)
    if not chosen:
        raise ConfigError(f"{speech} has no English dev recordings with texts to measure on")
    todo = {name: _transcriber(folder, device) for name, folder in zip(names_of(models), models, strict=True)}
    if control is not None:
        todo[f"{control.name}, without"] = _transcriber(control, device)
    about = {"models": list(todo), "recordings": len(chosen), "seconds": round(sum(clip.seconds for clip, _ in chosen))}
    heard = [at_level(read_audio(clip.file, RATE)[0], RATE, _LEVEL_DB) for clip, _ in chosen]
    wrong = {
        name: np.array([distance(said(wave), phones) for wave, (_, phones) in zip(heard, chosen, strict=True)])
        for name, said in todo.items()
    }
    report = Report("phones", about)
    groups = {"all": np.ones(len(chosen), bool)}
    groups |= {source: np.array([clip.source == source for clip, _ in chosen]) for source in _sources(chosen)}
    total = np.array([len(phones) for _, phones in chosen])
    for group, members in groups.items():
        table = Table(f"Phone errors, {group}")
        for name, errors in wrong.items():
            table.rows.append(Row(name=name, value=intervals.ratio(errors[members].tolist(), total[members].tolist())))
        if control is not None:
            against = wrong[f"{control.name}, without"]
            for name, errors in list(wrong.items())[:-1]:
                fewer = intervals.ratio((against - errors)[members].tolist(), against[members].tolist())
                table.rows.append(Row(name=f"{name}, fewer errors than without", value=fewer))
        report.tables.append(table)
        say("; ".join(f"{row.name} {row.shown()}" for row in table.rows))
    return report


def _sources(chosen: Sequence[tuple[Record, list[int]]]) -> list[str]:
    return sorted({clip.source for clip, _ in chosen})


def _chosen(speech: Path, most: int) -> list[tuple[Record, list[int]]]:
    """Recordings and the phones of their texts."""
    found = []
    for clip in in_turns(ranked(recordings(speech, "dev", lang="en", least_rate=RATE, seconds=(0.5, 15.0), text=True))):
        try:
            said = [phone for word in pronounce(normalise(clip.text or "")) for phone in word]
        except TextError:  # figures in another script, say
            continue
        if said:
            found.append((clip, ids(said)))
    return found[:most]


def _transcriber(folder: Path, device: str) -> Transcribe:
    model = load_part(folder, "ctc").to(device)
    return lambda wave: ids(model.transcribe(sound(wave.to(device), RATE))[0])
