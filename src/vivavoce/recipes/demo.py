"""How the recordings of the demonstration were made: by synthesis programs, with voices that no training has heard.

``python -c "from vivavoce.recipes import demo; demo.make()"`` makes them again.
"""

from pathlib import Path

import soundfile

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.core.atomic import atomic_write
from vivavoce.data.synthesis import SPEAKING_RATE, Reading, speak

_VOICE = "en-us+f3"
_CLIP = Reading(
    text="The rain had stopped, and the whole village came out to see the travellers who had crossed the mountain.",
    engine="festival",
    voice="cmu_us_slt_arctic_hts",
)


def make(folder: Path = RECORDINGS) -> None:
    """Writes the customer's lines and the clip to clone as Ogg Opus."""
    readings = [Reading(text=says, engine="espeak-ng", voice=_VOICE, rate=0.95) for _, says in LINES]
    names = [*(file for file, _ in LINES), "clip.ogg"]
    for name, spoken in zip(names, speak([*readings, _CLIP], sample_rate=SPEAKING_RATE), strict=True):
        with (
            atomic_write(folder / name) as path,
            soundfile.SoundFile(path, "w", SPEAKING_RATE, 1, format="OGG", subtype="OPUS") as file,
        ):
            file.comment = f"synthetic speech, made by {spoken.reading.engine}"
            file.write(spoken.wave)
