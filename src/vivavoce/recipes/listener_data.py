"""What the listener learns from, packed: people reading (aligned), orders and other sentences spoken by machines.

Recordings are aligned with their texts by `speaker_align`, so that every frame has a phone and the pronunciation that
was really used is known. Synthetic speech brings its timings where the engine tells them. One file per group; what is
there already is not made again.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.loudness import at_level
from vivavoce.core import rng
from vivavoce.core.errors import TextError, VivavoceError
from vivavoce.data import manifest, nonspeech
from vivavoce.data.aligned import HALF, LEAST_RATIO, LEVEL_DB, aligned, labels_of, mel_of
from vivavoce.data.character import Character
from vivavoce.data.manifest import Record
from vivavoce.data.packed import UNKNOWN, PhoneUtterance, load_packed, pack
from vivavoce.data.sentences import everyday, sentences, short
from vivavoce.data.sheet import Sheet
from vivavoce.data.synthesis import TEACHERS, Reading, SyntheticSpeech, readings, speak
from vivavoce.models.listener import MEL, SPLIT, Listener
from vivavoce.nn.align import Span
from vivavoce.recipes.speaker_align import load_spans
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import PHONE_IDS, SIL, ids
from vivavoce.text.pronounce import pronunciations

_LEAST_SCORE: Final = -8.0
_SKIPPED: Final = frozenset({"kerstin"})


def _usable(one: PhoneUtterance) -> bool:
    """Whether there are more distributions than phones, and something is said at all."""
    return 0 < len(one.phones) * 1.05 <= one.mel.shape[1] / 100 * float(25 * SPLIT)


def recordings(
    clips: list[Record], spans: list[list[Span]] | None, scores: list[float] | None, aligner: Listener | None = None
) -> Iterator[tuple[str, PhoneUtterance]]:
    """The recordings that have a text, with the name of their source; those whose text does not fit are left out.

    Phones and times come from ``spans``, else from ``aligner``, else there are none and each word is said in the first
    way that is listed.
    """
    for number, clip in enumerate(clips):
        if not clip.text or clip.source in _SKIPPED:
            continue
        if scores is not None and scores[number] < _LEAST_SCORE:
            continue
        try:
            wave, _ = read_audio(clip.file, MEL.sample_rate)
            if spans is None and aligner is not None:
                one, score = aligned(aligner, wave, clip.text)
                if score > LEAST_RATIO and _usable(one):
                    yield clip.source, one
                continue
            mel = mel_of(wave)
            if spans is not None and spans[number]:
                timed = [(s.phone, (s.begin - 1) / 100, (s.end - 1) / 100) for s in spans[number]]
                phones = [s.phone for s in spans[number] if s.phone]
                one = PhoneUtterance(mel, phones, labels_of(timed, mel.shape[1]))
            else:
                phones = [i for word in normalise(clip.text) for i in ids(pronunciations(word)[0])]
                one = PhoneUtterance(mel, phones, torch.full((-(-mel.shape[1] // HALF),), UNKNOWN, dtype=torch.uint8))
        except VivavoceError:
            continue
        if _usable(one):
            yield clip.source, one


def nobody(count: int, seed: int) -> Iterator[PhoneUtterance]:
    """Noise without speech, 0.4 to 10 s long, from loud to next to silence: nothing is to be heard in it."""
    draw = rng.stream(seed, "nobody")
    front = MEL.build()
    for _ in range(count):
        length = int(np.exp(draw.uniform(np.log(0.4), np.log(10.0))) * MEL.sample_rate)
        level_db = draw.uniform(-55, -8) if draw.random() < 0.95 else -90.0
        wave = nonspeech.recording(length, MEL.sample_rate, draw, level_db=level_db)
        mel = front(torch.from_numpy(wave)[None])[0]
        yield PhoneUtterance(mel, [], labels_of([], mel.shape[1]))


def background(waves: Iterable[Float[Tensor, " N"]], seconds: float = 8.0) -> Iterator[PhoneUtterance]:
    """Recorded noise at 16 kHz, in pieces."""
    front = MEL.build()
    for wave in waves:
        for piece in at_level(wave, MEL.sample_rate, LEVEL_DB).split(int(seconds * MEL.sample_rate)):
            if len(piece) > MEL.sample_rate:
                mel = front(piece[None])[0]
                yield PhoneUtterance(mel, [], labels_of([], mel.shape[1]))


def utterance(spoken: SyntheticSpeech) -> PhoneUtterance:
    """Synthetic speech as something to learn from."""
    mel = mel_of(torch.from_numpy(spoken.wave).float())
    if spoken.phones is None:
        phones = [i for word in normalise(spoken.reading.text) for i in ids(pronunciations(word)[0])]
        return PhoneUtterance(mel, phones, torch.full((-(-mel.shape[1] // HALF),), UNKNOWN, dtype=torch.uint8))
    timed = [(PHONE_IDS[p.phone.symbol], p.start, p.end) for p in spoken.phones]
    return PhoneUtterance(mel, [p for p, _, _ in timed if p != PHONE_IDS[SIL]], labels_of(timed, mel.shape[1]))


def texts_of_orders(count: int, seed: int, sheet: Sheet | None = None) -> list[str]:
    """Orders and other things that are said to a character, the default one unless given."""
    character = Character(sheet)
    shares = (
        (0.6, character.orders(round(count * 0.6), seed)),
        (0.15, character.orders(round(count * 0.15), seed + 1, rich=True)),
    )
    texts = [turn.user for _, turns in shares for turn in turns]
    texts += [turn.user for turn in character.talk(count - len(texts), seed + 2)]
    return [texts[i] for i in rng.stream(seed, "order of texts").permutation(len(texts))]


def texts_of_anything(count: int, seed: int, transcripts: list[str]) -> list[str]:
    """Phonetically broad sentences: pieces of what people read, and sentences of any words."""
    draw = rng.stream(seed, "pieces")
    texts = list(sentences(count // 2 if transcripts else count, seed))
    while len(texts) < count:
        words = normalise(transcripts[int(draw.integers(len(transcripts)))])
        size = int(draw.integers(4, 15))
        begin = int(draw.integers(0, max(len(words) - size, 0) + 1))
        texts.append(" ".join(words[begin : begin + size]))
    return texts


def texts_of_a_day(count: int, seed: int) -> list[str]:
    """What people say alone or in a day, half and half."""
    draw = rng.stream(seed, "day")
    return [(short if draw.random() < 0.5 else everyday)(draw) for _ in range(count)]


def synthetic(wanted: list[Reading]) -> Iterator[PhoneUtterance]:
    """Readings spoken and packed; what cannot be used is left out."""
    for spoken in speak(wanted):
        try:
            one = utterance(spoken)
        except TextError:
            continue
        if _usable(one):
            yield one


def prepare_recordings(
    speech: Path,
    out: Path,
    *,
    spans: Path | None = None,
    aligner: Listener | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Writes the groups of the recordings of ``speech`` into ``out``: ``train-SOURCE`` and ``dev-SOURCE``.

    What is there is kept; ``spans`` and ``aligner`` are as for `prepare`.
    """
    for split in ("train", "dev"):
        clips = manifest.recordings(speech, split, lang="en")
        sources = {clip.source for clip in clips if clip.text} - _SKIPPED
        if all((out / f"{split}-{source}.safetensors").exists() for source in sources):
            continue
        known = load_spans(spans) if spans is not None and split == "train" else (None, None)
        groups: dict[str, list[PhoneUtterance]] = {}
        for source, one in recordings(clips, *known, aligner if split == "train" else None):
            groups.setdefault(source, []).append(one)
        for source, group in groups.items():
            pack(group).save(out / f"{split}-{source}.safetensors")
            say(f"{split} {source}: {len(group)} recordings")


def prepare(
    speech: Path | None,
    out: Path,
    *,
    orders: int = 6000,
    anything: int = 5000,
    day: int = 5000,
    scenes: int = 4500,
    seed: int = 11,
    spans: Path | None = None,
    aligner: Listener | None = None,
    noise: Path | None = None,
    sheet: Sheet | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Writes the packed groups into ``out``: ``train-SOURCE``, ``dev-SOURCE``, ``train-orders``, ``train-anything``,
    ``train-short`` (what people say alone and in a day), ``train-noise`` and, with recordings of ``noise``,
    ``train-background``.

    ``spans`` is the file of alignments that the speaker's preparation wrote for the training recordings of ``speech``;
    without it an earlier listener may align them. ``sheet`` is the character that orders are said to.
    """
    transcripts: list[str] = []
    if speech is not None:
        prepare_recordings(speech, out, spans=spans, aligner=aligner, say=say)
        clips = manifest.recordings(speech, "train", lang="en")
        transcripts = [clip.text for clip in clips if clip.text and len(clip.text) > 20]
    jobs = (
        ("orders", texts_of_orders(orders, seed, sheet)),
        ("anything", texts_of_anything(anything, seed + 1, transcripts)),
        ("short", texts_of_a_day(day, seed + 2)),
    )
    for name, texts in jobs:
        path = out / f"train-{name}.safetensors"
        if not path.exists():
            pack(synthetic(readings(texts, seed, engines=TEACHERS))).save(path)
            say(f"train {name}: {len(load_packed(path))} sentences")
    if not (out / "train-noise.safetensors").exists():
        places = nonspeech.places(noise, "train", MEL.sample_rate, voices=True)
        recorded = list(background(map(torch.from_numpy, places.values())))
        if recorded:
            pack(recorded).save(out / "train-background.safetensors")
        pack([*nobody(scenes, seed), *recorded]).save(out / "train-noise.safetensors")
        say(f"train noise: {scenes} scenes and {len(recorded)} pieces of recordings")
