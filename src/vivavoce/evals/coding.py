"""The codec by itself: real recordings to tokens and back."""

import time
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.evals import intervals, quality
from vivavoce.evals.drive import SPEAKING_RATE
from vivavoce.evals.listening import Clip
from vivavoce.evals.report import Row, Table

RoundTrip = Callable[[Float[Tensor, " N"]], tuple[Int[Tensor, "K T"], Float[Tensor, " N"]]]


def codec_table(there_and_back: RoundTrip, clips: Sequence[Clip], size: int, say: Log = print) -> Table:
    """Intelligibility, quality and use of the books on lossless clips of two to ten seconds, one per speaker.

    The round trip answers for its own delay. Looking for the best lag would err: where phases are not kept, waveforms
    often agree best a pitch period away, which cost 0.09 of STOI.
    """
    table = Table("Codec (lossless dev clips)")
    names = [
        "STOI",
        "PESQ-WB",
        "DNSMOS",
        "— DNSMOS of the originals",
        "bits per token, first book",
        "— the other books",
    ]
    floors = {"STOI": "0.83", "PESQ-WB": "1.6"}
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.lossless and len(clip.wave) >= 2 * clip.sample_rate:
            seen.setdefault(clip.speaker, clip)
    if not seen:
        table.rows += [Row(name=name, value=None, floor=floors.get(name, "")) for name in names]
        return table
    found: list[list[float]] = [[] for _ in range(4)]
    codes: list[Tensor] = []
    spent = length = 0.0
    for clip in seen.values():
        wave = resample(clip.wave, clip.sample_rate, SPEAKING_RATE)[: 10 * SPEAKING_RATE]
        start = time.perf_counter()
        tokens, made = there_and_back(wave)
        spent += time.perf_counter() - start
        length += len(wave) / SPEAKING_RATE
        codes.append(tokens)
        measured = (
            quality.stoi(wave, made, SPEAKING_RATE),
            quality.pesq(wave, made, SPEAKING_RATE),
            quality.dnsmos(made, SPEAKING_RATE),
            quality.dnsmos(wave, SPEAKING_RATE),
        )
        for column, value in zip(found, measured, strict=True):
            column.append(value)
    joined = torch.cat(codes, dim=1)
    bits = [quality.entropy(book, size) for book in joined]
    values = [intervals.mean(column) for column in found]
    values += [intervals.mean(bits[:1]), intervals.mean(bits[1:])]
    table.rows += [
        Row(name=name, value=value, unit="", floor=floors.get(name, ""))
        for name, value in zip(names, values, strict=True)
    ]
    rate = intervals.mean([spent / length])
    table.rows.append(Row(name="encode + decode, of real time", value=rate, unit="", floor="0.15"))
    for row in table.rows:
        say(f"codec, {row.name}: {row.shown()}")
    return table
