"""What was said in a recording, written as subtitles or as verbose_json."""

from operator import itemgetter
from typing import Any, Literal

import numpy as np

from vivavoce.core.talk import Word
from vivavoce.runtime.api import UserText
from vivavoce.runtime.model import RATE
from vivavoce.server.items import logprobs_of


def clock(samples: int, comma: str) -> str:
    """Hours, minutes, seconds and milliseconds of a subtitle."""
    ms = samples * 1000 // RATE
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{comma}{ms % 1000:03}"


def segments(words: list[Word]) -> list[list[Word]]:
    """Lines of subtitles: up to eight words, ended by a pause of half a second or a full stop."""
    lines: list[list[Word]] = []
    for word in words:
        last = lines[-1][-1] if lines else None
        if last is None or len(lines[-1]) >= 8 or word.start - last.end > RATE // 2 or last.text[-1:] in ".?!":
            lines.append([])
        lines[-1].append(word)
    return lines


def subtitles(words: list[Word], kind: Literal["srt", "vtt"]) -> str:
    """The words as subtitles."""
    comma = "," if kind == "srt" else "."
    blocks = []
    for number, line in enumerate(segments(words), 1):
        times = f"{clock(line[0].start, comma)} --> {clock(line[-1].end, comma)}"
        text = " ".join(word.text for word in line)
        blocks.append(f"{number}\n{times}\n{text}\n" if kind == "srt" else f"{times}\n{text}\n")
    return ("WEBVTT\n\n" if kind == "vtt" else "") + "\n".join(blocks)


def verbose(parts: list[UserText], granularities: list[str], task: str = "transcribe") -> dict[str, Any]:
    """verbose_json of a recording's pieces, whose words have times from its beginning.

    ``avg_logprob`` is the mean logarithm of the words' confidences, ``no_speech_prob`` how likely it is that nobody
    speaks; a piece without words is a segment of its own. What only another model could tell is constant.
    """
    words = [word for part in parts for word in part.words]
    samples = sum(part.samples for part in parts)
    answer: dict[str, Any] = {
        "task": task,
        "language": next((part.language for part in parts if part.language not in ("", "en")), "english"),
        "duration": samples / RATE,
        "text": " ".join(part.text for part in parts if part.text),
        "usage": {"type": "duration", "seconds": samples / RATE},
    }
    if "word" in granularities:
        answer["words"] = [{"word": w.text, "start": w.start / RATE, "end": w.end / RATE} for w in words]
    if "segment" in granularities or not granularities:
        found = [
            _segment(tuple(line), line[0].start, line[-1].end, max(w.speech for w in line)) for line in segments(words)
        ]
        begin = 0
        for part in parts:
            found += [] if part.words else [_segment((), begin, begin + part.samples, part.speech)]
            begin += part.samples
        found.sort(key=itemgetter("start"))
        answer["segments"] = [{"id": number, **segment} for number, segment in enumerate(found)]
    return answer


def _segment(words: tuple[Word, ...], start: int, end: int, speech: float) -> dict[str, Any]:
    sure = [entry["logprob"] for entry in logprobs_of(words)]
    return {
        "seek": 0,
        "start": start / RATE,
        "end": end / RATE,
        "text": " ".join(word.text for word in words),
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": float(np.mean(sure)) if sure else 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": round(1 - speech, 4),
    }
