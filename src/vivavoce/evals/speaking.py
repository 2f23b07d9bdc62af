"""Speaking: can it be understood, does a described voice sound as described, is a cloned one told from other people."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from vivavoce.core.errors import VoiceError
from vivavoce.core.progress import Log
from vivavoce.core.voice import Consent, Voice
from vivavoce.data.synthesis import Reading, speak
from vivavoce.evals import intervals, word_errors
from vivavoce.evals.drive import SPEAKING_RATE, Assistant, said
from vivavoce.evals.listening import Clip
from vivavoce.evals.melody import Melody, melody
from vivavoce.evals.orders import orders_of
from vivavoce.evals.report import Row, Table
from vivavoce.evals.speakers import SpeakerSpace, cepstra, nearest
from vivavoce.evals.sphinx import Sphinx

_JOINED_SECONDS = 15

PAIRS: tuple[tuple[str, tuple[str, str], Callable[[Melody], float]], ...] = (
    ("pitch", ("a high voice", "a low voice"), lambda heard: heard.pitch_hz),
    ("pitch", ("very high", "very deep"), lambda heard: heard.pitch_hz),
    ("pitch", ("a young woman", "an old man"), lambda heard: heard.pitch_hz),
    ("rate", ("slow", "fast"), lambda heard: heard.seconds),
    ("rate", ("speaking slowly", "speaking quickly"), lambda heard: heard.seconds),
    ("loudness", ("loud", "quiet"), lambda heard: heard.level_db),
    ("loudness", ("a loud voice", "a soft voice"), lambda heard: heard.level_db),
)
"""What is measured, a description that should have more of it and one that should have less."""


def reply_table(model: Assistant, clips: Sequence[Clip], count: int, seed: int, say: Log = print) -> Table:
    """Word errors of pocketsphinx on replies, beside flite reading the same texts and real people reading theirs."""
    table = Table("Intelligibility of replies (word errors of pocketsphinx)")
    texts = orders_of(model.character).replies(count, seed)
    totals = [len(word_errors.plain(text)) for text in texts]
    sphinx = Sphinx()
    ours = [_errors(sphinx, text, said(model, text, seed=seed), SPEAKING_RATE) for text in texts]
    flite = [
        _errors(sphinx, one.reading.text, _tensor(one.wave), one.sample_rate)
        for one in speak(Reading(text=text, engine="flite", voice="slt") for text in texts)
    ]
    table.rows.append(Row(name="our replies", value=intervals.ratio(ours, totals)))
    table.rows.append(Row(name="flite, the same texts", value=intervals.ratio(flite, totals)))
    times = sum(ours) / max(sum(flite), 1)
    table.rows.append(Row(name="ours / flite's", value=intervals.mean([times]), unit="", floor="≤ 1.6"))
    people = [clip for clip in clips if clip.text][:count]
    wrong = [_errors(sphinx, clip.text, clip.wave, clip.sample_rate) for clip in people]
    value = intervals.ratio(wrong, [len(word_errors.plain(clip.text)) for clip in people]) if people else None
    table.rows.append(Row(name="real people, their own texts", value=value))
    for row in table.rows:
        say(f"intelligibility, {row.name}: {row.shown()}")
    return table


def _tensor(wave: object) -> Tensor:
    return torch.as_tensor(wave).float()


def _errors(sphinx: Sphinx, text: str, wave: Tensor, sample_rate: int) -> int:
    return word_errors.distance(word_errors.plain(text), sphinx.words(wave, sample_rate))


def described_table(model: Assistant, count: int, seed: int, say: Log = print) -> Table:
    """Pairs of descriptions, the same text in both: does signal processing find the difference that was asked for."""
    table = Table("Described voices (pairs the right way round)")
    texts = orders_of(model.character).replies(count, seed)
    right: dict[str, list[bool]] = {}
    for about, (more, less), measure in PAIRS:
        for text in texts:
            first, second = (
                measure(melody(said(model, text, Voice.described(name), seed), SPEAKING_RATE)) for name in (more, less)
            )
            right.setdefault(about, []).append(first > second)
    for about, found in right.items():
        table.rows.append(Row(name=about, value=intervals.share(found), floor="90 %"))
        say(f"described {about}: {table.rows[-1].shown()}")
    return table


def clone_table(
    model: Assistant,
    taught: Sequence[Clip],
    people: Sequence[Clip],
    clips: dict[str, bytes],
    seed: int,
    say: Log = print,
) -> Table:
    """Nearest of the dev speakers: our clone of a first recording, and a real second one, against a third part.

    ``clips`` holds what is cloned as files, the first of each speaker's `halves`; the reference is never what was
    cloned.
    """
    table = Table("Cloned voices (nearest of the dev speakers is the right one)")
    by_speaker: dict[str, list[Clip]] = {}
    for clip in people:
        by_speaker.setdefault(clip.speaker, []).append(clip)
    if not by_speaker or not taught:
        table.rows += [Row(name=name, value=None) for name in ("clones", "— a real second recording")]
        return table
    encoder = SpeakerSpace(
        [(clip.speaker, part) for clip in taught if len(part := cepstra(clip.wave, clip.sample_rate)) > 50]
    )
    known, real, cloned = {}, {}, {}
    sentences = " ".join(orders_of(model.character).replies(3, seed))
    for who, own in by_speaker.items():
        first, second = halves(own)
        known[who] = encoder.vector(second.wave, second.sample_rate)
        real[who] = encoder.vector(first.wave, first.sample_rate)
        voice = Voice.like(clips[who], consent=Consent("a corpus under an open licence"))
        try:
            cloned[who] = encoder.vector(said(model, sentences, voice, seed), SPEAKING_RATE)
        except VoiceError as error:
            say(f"{who}: {error}")
    # who has too little speech to be cloned counts as missed
    ours = intervals.share([who in cloned and nearest(known, cloned[who]) == who for who in known])
    theirs = intervals.share([nearest(known, vector) == who for who, vector in real.items()])
    table.rows.append(Row(name=f"clones, of {len(known)} speakers", value=ours, floor="30 %"))
    table.rows.append(Row(name="— a real second recording", value=theirs, remark="the judge's own accuracy"))
    for row in table.rows:
        say(f"{row.name}: {row.shown()}")
    return table


def halves(own: Sequence[Clip]) -> tuple[Clip, Clip]:
    """Every second recording of a speaker joined, longest first, and the others; or the two halves of the only one."""
    longest = sorted(own, key=lambda clip: -len(clip.wave) / clip.sample_rate)
    if len(longest) == 1:
        a, b = longest[0].wave.chunk(2)
        return replace(longest[0], wave=a), replace(longest[0], wave=b)
    alike = [clip for clip in longest if clip.sample_rate == longest[0].sample_rate]
    alike = alike if len(alike) > 1 else longest[:2]
    return _joined(alike[::2]), _joined(alike[1::2])


def _joined(clips: Sequence[Clip]) -> Clip:
    waves = torch.cat([clip.wave for clip in clips])
    return replace(clips[0], wave=waves[: _JOINED_SECONDS * clips[0].sample_rate])
