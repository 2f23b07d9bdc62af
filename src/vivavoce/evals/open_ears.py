"""Other people's ears as they are used here, beside what they make of open speech by themselves."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.assistant.following import FollowingEars
from vivavoce.assistant.whisper import WhisperEars
from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.data.synthesis import LISTENING_RATE
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.gate import unspoken
from vivavoce.evals.intervals import Estimate
from vivavoce.evals.listening import Clip, some_with_text
from vivavoce.evals.people import measured_on
from vivavoce.evals.report import Row, Table
from vivavoce.hub.whisper import Whisper
from vivavoce.runtime.listening import CHUNK, StableWords
from vivavoce.runtime.model import FRAME, RATE, HearingOptions

SHORTEST_SECONDS = 1.5
_ON = torch.ones(1, dtype=torch.bool)
_TAIL_SECONDS = 0.2
"""Silence behind a turn when it is heard as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounds:
    """What to listen to: recordings of people at most so many, and seconds of sounds that nobody speaks."""

    speech: Path | None = None
    noise: Path | None = None
    clips: int = 300
    noise_seconds: float = 600.0
    seed: int = 0


def heard_live(ears: FollowingEars, wave: Float[Tensor, " N"]) -> tuple[str, str, float]:
    """What is heard of a sound (24 kHz) while it comes in: the final text, the text that was shown before its end, and
    how likely it is that anybody spoke. ``ears`` have a lane that does everything at once."""
    state, shown = ears.init_state(1), StableWords()
    ears.begin(state, 0, HearingOptions())
    sound = torch.nn.functional.pad(wave, (0, round(_TAIL_SECONDS * RATE)))
    sound = torch.nn.functional.pad(sound, (0, -len(sound) % FRAME))
    for begin in range(0, len(sound), CHUNK):
        heard = ears.step(sound[None, begin : begin + CHUNK], state, _ON)[0]
        if heard is not None:
            shown.more(heard)
    final = ears.finish(state, 0)
    return " ".join(word.text for word in final.words), shown.shown, final.speech


def by_itself(whisper: Whisper, wave: Float[np.ndarray, " N"]) -> str:
    """What faster-whisper makes of a sound (16 kHz) with its own settings."""
    segments, _ = whisper.plain().transcribe(wave, language="en")
    return "".join(segment.text for segment in segments)


def ears_table(ears: WhisperEars, sounds: Sounds, say: Log) -> Table:
    """Words of people by file and while they speak, beside the recogniser by itself and our own words; and what is
    made of sounds that nobody speaks."""
    table = Table("Ears")
    live, whisper = FollowingEars(ears.mini, ears.recognisers, None), ears.first
    assert isinstance(whisper, Whisper)
    clips = [] if sounds.speech is None else _long_enough(measured_on(sounds.speech), sounds.clips)
    wrong: dict[str, list[int]] = {"file": [], "live": [], "itself": [], "mini": []}
    totals: list[int] = []
    back: list[bool] = []
    for number, clip in enumerate(clips):
        low = resample(clip.wave[None], clip.sample_rate, LISTENING_RATE)
        high = resample(clip.wave[None], clip.sample_rate, RATE)[0]
        text, shown, _ = heard_live(live, high)
        found = {
            "file": " ".join(word.text for word in ears.whole(low).words),
            "live": text,
            "itself": by_itself(whisper, low[0].numpy()),
            "mini": " ".join(word.text for word in ears.mini.whole(low).words),
        }
        wanted = word_errors.plain(clip.text)
        totals.append(len(wanted))
        back.append(not text.startswith(shown))
        for route, said in found.items():
            wrong[route].append(word_errors.distance(wanted, word_errors.plain(said)))
        if len({tuple(word_errors.plain(found[route])) for route in ("file", "live", "itself")}) > 1:
            say(f"{number}: {clip.text}\n  file {found['file']}\n  live {text}\n  itself {found['itself']}")

    def above(route: str) -> Estimate:
        return intervals.ratio([a - b for a, b in zip(wrong[route], wrong["itself"], strict=True)], totals)

    for name, route in (
        ("word errors, file route", "file"),
        ("word errors, live route", "live"),
        ("— faster-whisper by itself", "itself"),
        ("— mini", "mini"),
    ):
        table.rows.append(Row(name=name, value=intervals.ratio(wrong[route], totals)))
    table.rows.append(Row(name="file route above faster-whisper by itself", value=above("file"), floor="0.5 %"))
    table.rows.append(Row(name="live route above faster-whisper by itself", value=above("live"), floor="2 %"))
    table.rows.append(Row(name="turns of which words were taken back", value=intervals.share(back), floor="0 %"))
    table.rows.append(_invented(ears, live, sounds, say))
    return table


def _long_enough(clips: list[Clip], count: int) -> list[Clip]:
    return some_with_text([clip for clip in clips if len(clip.wave) >= SHORTEST_SECONDS * clip.sample_rate], count)


def _invented(ears: WhisperEars, live: FollowingEars, sounds: Sounds, say: Log) -> Row:
    """Sounds that nobody speaks, by file and by live route, and in how many of them words were heard."""
    worded: list[bool] = []
    seconds = 0.0
    for kind, sound in unspoken(10_000, sounds.seed, sounds.noise):
        if seconds >= sounds.noise_seconds:
            break
        seconds += len(sound) / LISTENING_RATE
        by_file = " ".join(word.text for word in ears.whole(sound[None]).words)
        text, shown, _ = heard_live(live, resample(sound[None], LISTENING_RATE, RATE)[0])
        worded.append(bool(by_file or text or shown))
        if worded[-1]:
            say(f"words from {kind}, {len(sound) / LISTENING_RATE:.1f} s: {by_file!r}, live {text!r}, shown {shown!r}")
    remark = f"{sum(worded)} of {len(worded)} sounds, {seconds:.0f} s"
    return Row(name="sounds that nobody speaks with words", value=intervals.share(worded), floor="0 %", remark=remark)
