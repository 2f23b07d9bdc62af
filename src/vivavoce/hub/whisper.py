"""Whisper (arXiv:2212.04356) in CTranslate2's format, as converted for and run by faster-whisper.

A folder is checked when it is named; its weights are read when they are first needed, in every process by itself, as
the threads of CTranslate2 do not outlive a fork.
"""

import os
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vivavoce.core.errors import PartError
from vivavoce.hub.catalogue import catalogue, find
from vivavoce.hub.fetch import DESCRIPTION, folder_of, place
from vivavoce.hub.published import json_of

FAMILY = "whisper-ct2"
RATE = 16_000
WINDOW_SECONDS = 30.0
"""What the model was taught to hear at once."""
_SPEC = b"WhisperSpec\0"
_RUN, _PARTS = 4, re.compile(r"[\w']+")
_TOKENS_A_SECOND, _TOKENS, _MOST_TOKENS = 10, 16, 200
"""More than anybody says in a second, and beside it; a prompt of twice as many characters leaves room for so many."""
_WINDOWS, _LEAST_SECONDS = 2, 1.0
"""A sound that fits into one window is quickly heard in at most so many, and what is left behind the first is no window
of its own where it is shorter than this: who spells ends early, and would say the last letters again."""
_NOBODY = 0.6
"""Where Whisper is surer than this that nobody speaks, and not sure of what it writes, there are no words."""
_CAREFUL: Mapping[str, Any] = {"temperature": [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]}
UNSPACED = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
"""Languages that are written without spaces."""
_FILES = ("config.json", "model.bin", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Spelled:
    """A word as Whisper writes it, with its times in seconds and its mean token probability.

    ``glued``: nothing stands between it and the word before, in a language that is written without spaces. In others
    what is written together is one word ("3.5", "7:30", "20%").
    """

    text: str
    start: float
    end: float
    confidence: float
    glued: bool = False


@dataclass(frozen=True, slots=True)
class Transcribed:
    """What was heard, and the code of the language."""

    words: tuple[Spelled, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a sound is to be heard.

    ``language`` is a code, empty to find out; ``before`` is text that the sound continues, or that shows how names are
    spelled; ``clips`` are the places (seconds) that are listened to, all if empty. ``window`` shortens the model's 30
    seconds for sounds that need less; ``careful``: what looks wrong is tried again, several times if it has to be.
    ``certain``: it is known that somebody speaks; else, or where it is careful, the model may say that nobody does.
    """

    language: str = ""
    translate: bool = False
    before: str = ""
    keywords: Sequence[str] = ()
    clips: Sequence[tuple[float, float]] = ()
    window: float = WINDOW_SECONDS
    beam: int = 5
    careful: bool = True
    certain: bool = False


@runtime_checkable
class Recogniser(Protocol):
    """Who finds the words of open speech: Whisper, or another model that knows as much."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages that it understands."""
        ...

    @property
    def multilingual(self) -> bool:
        """Whether it knows more than one and translates into English."""
        ...

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = ...
    ) -> Transcribed:
        """The words of a sound at 16 kHz of any length."""
        ...


class Whisper:
    """A model in a folder: its name, and the codes of the languages that it understands.

    Where these are several it also translates into English.
    """

    def __init__(self, folder: Path, name: str, languages: tuple[str, ...], threads: int = 1) -> None:
        """Reads nothing yet."""
        self.folder, self.name, self.languages, self._threads = folder, name, languages, threads
        self._lock = Lock()
        self._loaded: Any = None
        self._process = 0

    @property
    def multilingual(self) -> bool:
        """Whether it knows more than English."""
        return len(self.languages) > 1

    @property
    def model(self) -> Any:
        """The weights, as int8. PartError when they cannot be read."""
        with self._lock:
            if self._loaded is None or self._process != os.getpid():  # what was read before a fork hangs behind it
                self._loaded, self._process = self._read(), os.getpid()
            return self._loaded

    def _read(self) -> Any:
        from vivavoce.hub.shortened import ShortenedWhisper

        try:
            return ShortenedWhisper(str(self.folder), device="cpu", compute_type="int8", cpu_threads=self._threads)
        except Exception as error:  # the libraries below raise whatever they come across
            raise PartError(f"{self.folder} cannot be read as Whisper ({error}); fetch it again") from error

    def plain(self) -> Any:
        """faster-whisper's model as it is, to compare with."""
        model = self.model
        how = model.how
        how.frames, how.between, how.windows, how.least = round(100 * WINDOW_SECONDS), lambda: None, None, 0
        return model

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = lambda: None
    ) -> Transcribed:
        """The words of a sound at 16 kHz; any length. ``between`` is called between the steps of the work, and may end
        it by an error."""
        found = self._heard(wave, wanted, between)
        if wanted.window < WINDOW_SECONDS and repeats(found.words):
            # Whoever goes round in circles with several beams seldom does with one.
            found = self._heard(wave, replace(wanted, window=WINDOW_SECONDS, beam=1), between)
        return found

    def _heard(self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None]) -> Transcribed:
        from vivavoce.hub.shortened import Enough

        model = self.model
        model.how.frames = round(100 * max(1.0, min(wanted.window, WINDOW_SECONDS)))
        model.how.between = between
        # Whoever goes round in circles ends each window early, and would begin one after the other.
        short = len(wave) < RATE * (WINDOW_SECONDS - 1)
        most = _WINDOWS + len(wanted.clips) + (not wanted.language)
        quick = short and not wanted.careful
        model.how.windows = most if quick else None
        model.how.least, model.how.first = round(100 * _LEAST_SECONDS) if quick and not wanted.clips else 0, True
        segments, info = model.transcribe(
            wave,
            language=wanted.language or None,
            task="translate" if wanted.translate else "transcribe",
            beam_size=wanted.beam,
            initial_prompt=wanted.before.strip() or None,
            hotwords=", ".join(wanted.keywords) or None,
            clip_timestamps=[place for clip in wanted.clips for place in clip] or "0",
            word_timestamps=True,
            **(_CAREFUL if wanted.careful else _quick(len(wave) / RATE, wanted)),
        )
        words: list[Spelled] = []
        with suppress(Enough):
            for segment in segments:
                words += spelled(segment.words or (), info.language in UNSPACED)
                if not wanted.careful and wanted.window < WINDOW_SECONDS and repeats(words):
                    break
        return Transcribed(tuple(words), info.language)


def _quick(seconds: float, wanted: Wanted) -> Mapping[str, Any]:
    """One try; where a short sound goes round in circles, that ends soon."""
    tokens = round(_TOKENS_A_SECOND * seconds) + _TOKENS
    short = tokens <= _MOST_TOKENS and len(wanted.before) + sum(map(len, wanted.keywords)) <= 2 * _MOST_TOKENS
    nobody = None if wanted.certain else _NOBODY
    return {"temperature": 0.0, "no_speech_threshold": nobody, "max_new_tokens": tokens if short else None}


def repeats(words: Sequence[Spelled]) -> bool:
    """Whether some words in a row come twice, as they do where a shortened window begins again."""
    texts = _PARTS.findall(" ".join(word.text.lower() for word in words))
    runs = [tuple(texts[at : at + _RUN]) for at in range(len(texts) - _RUN + 1)]
    return len(set(runs)) < len(runs)


def spelled(pieces: Sequence[Any], unspaced: bool = False) -> list[Spelled]:
    """Words from faster-whisper's, which end at every sign and begin with the space that stands before them."""
    found: list[Spelled] = []
    for piece in pieces:
        text = piece.word.strip()
        if not text:
            continue
        glued = bool(found) and not piece.word[0].isspace()
        word = Spelled(text, float(piece.start), float(piece.end), float(piece.probability), glued)
        if glued and not unspaced:
            last = found[-1]
            sure = min(last.confidence, word.confidence)
            found[-1] = replace(last, text=last.text + text, end=word.end, confidence=sure)
        else:
            found.append(word)
    return found


def whisper_of(choice: str, threads: int = 1) -> Whisper:
    """The Whisper of a catalogue's name, ``hf:OWNER/NAME`` or a folder.

    Raises PartError where it was not fetched, is damaged, or is another kind of model.
    """
    if choice.startswith("hf:"):
        folder = folder_of(choice)
        if not (folder / DESCRIPTION).is_file():
            raise PartError(f"{choice} is not on this machine; fetch it: vivavoce models get {choice}")
        return _checked(folder, choice.removeprefix("hf:"), threads)
    if "/" in choice or Path(choice).is_dir():
        folder = Path(choice).expanduser()
        if not folder.is_dir():
            raise PartError(f"there is no folder {choice}; give a folder with {', '.join(_FILES)}, or a name")
        return _checked(folder, folder.resolve().name, threads)
    ears = [model.name for model in catalogue() if model.kind == "ears"]
    if choice not in {model.name for model in catalogue()}:
        raise PartError(f"there are no ears {choice!r}; give mini, {', '.join(ears)}, a folder, or hf:OWNER/NAME")
    known = find(choice)
    if known.family != FAMILY:
        raise PartError(f"{choice} is no ears but {known.kind} ({known.title}); `vivavoce models` lists what is what")
    return _checked(place(known), choice, threads)


def _checked(folder: Path, name: str, threads: int) -> Whisper:
    for file in _FILES:
        if not (folder / file).is_file():
            raise PartError(f"{folder} has no {file}; a Whisper for CTranslate2 has {', '.join(_FILES)}")
    try:
        with open(folder / "model.bin", "rb") as weights:
            (_, length) = struct.unpack("<IH", weights.read(6))
            spec = weights.read(length)
    except (OSError, struct.error) as error:
        raise PartError(f"{folder / 'model.bin'} cannot be read ({error}); fetch the model again") from error
    if spec != _SPEC:
        what = spec.rstrip(b"\0").decode("ascii", "replace") if 0 < length < 100 else "damaged or something else"
        raise PartError(f"{folder / 'model.bin'} holds no Whisper for CTranslate2 (it is {what})")
    config, tokenizer = json_of(folder / "config.json"), json_of(folder / "tokenizer.json")
    return Whisper(folder, name, _languages(config, tokenizer), threads)


def _languages(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> tuple[str, ...]:
    """The codes of the languages, English alone where the model knows no other."""
    wanted = set(config.get("lang_ids") or ())
    tokens = (t for t in tokenizer.get("added_tokens") or () if t.get("id") in wanted)
    found = [match[1] for t in tokens if (match := re.fullmatch(r"<\|([a-z]{2,3})\|>", str(t.get("content"))))]
    return tuple(found) if len(found) > 1 else ("en",)
