"""A voice behind an address: any server of OpenAI's `/v1/audio/speech`; sentence by sentence, as it streams."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

import numpy as np

from vivavoce.assistant.reading import Breath
from vivavoce.assistant.remote import PASSING, EndpointConfig, refused, request_of, unreached
from vivavoce.assistant.synthesis import BreathSound, manner, named, no_voice
from vivavoce.assistant.timing import WordTiming, spread
from vivavoce.audio.pcm import to_float
from vivavoce.core.errors import SpeakerError
from vivavoce.core.stop import StopSignal
from vivavoce.core.voice import STOCK, Voice
from vivavoce.runtime.model import RATE, Pcm
from vivavoce.text.normalise import SpokenWord
from vivavoce.text.phrases import LONGEST

_BLOCK = RATE // 10 * 2
"""Bytes that are read at a time: a tenth of a second."""
_TIMED_EVERY = RATE // 2
"""Samples that come before the words are looked for again."""
_ATTEMPTS = 2
_MOST_SECONDS = 120
"""Of one sentence; what is longer is no speech of it."""
_LISTING_SECONDS = 5.0
_DEFAULT = "alloy"


class EndpointVoice:
    """Makes the sound of sentences by asking an endpoint for 16-bit samples at 24 kHz."""

    lengths = (LONGEST,)
    at_once = 8
    reads = False

    def __init__(self, config: EndpointConfig, timing: WordTiming) -> None:
        """Asks which voices there are; an endpoint without a list is taken to have every voice that is asked for."""
        self.config, self._timing = config, timing
        self.name = f"{config.model} at {config.url}"
        self.voices = _voices_of(config)

    def style(self, voice: Voice) -> str:
        """A voice of the endpoint by its name; VoiceError for descriptions and clips, and for names that it has not."""
        wanted = named(voice).name
        known = wanted in self.voices or wanted in STOCK or (not self.voices and " " not in wanted)
        if voice.clip or not known or wanted.startswith("voice_"):
            raise no_voice(self.name, voice, self.voices)
        return _DEFAULT if wanted == "default" and wanted not in self.voices else wanted

    def sound(self, text: str, breath: Breath, voice: Voice, stop: StopSignal) -> Iterator[BreathSound]:
        """The sound as it comes, the words as far as they are certain. Raises SpeakerError when it fails."""
        body: dict[str, Any] = {"model": self.config.model, "input": text.strip(), "voice": self.style(voice)}
        body |= {"response_format": "pcm", "speed": voice.speed}
        if asked := manner(voice):
            body["instructions"] = asked
        came: list[Pcm] = []
        given = given_words = 0
        for pcm in self._stream(body, stop):
            came.append(pcm)
            total = sum(map(len, came))
            if total > _MOST_SECONDS * RATE:
                raise SpeakerError(f"{self.name} gave more than {_MOST_SECONDS} s of sound for one sentence")
            if total - given >= _TIMED_EVERY:
                whole = np.concatenate(came)
                words = self._timing.words(whole, breath.words, whole=False)
                yield BreathSound(whole[given:], words[given_words:])
                given, given_words = total, max(given_words, len(words))
        whole = np.concatenate(came) if came else np.zeros(0, np.float32)
        if not len(whole) and not stop:
            raise SpeakerError(f"{self.name} gave no sound for {text.strip()[:60]!r}")
        if breath.words:
            found = self._timing.words(whole, breath.words)
        else:  # nothing that we can read, but perhaps that it can
            found = spread(len(whole), _as_written(text, breath.begin))
        yield BreathSound(whole[given:], found[given_words:])

    def _stream(self, body: dict[str, Any], stop: StopSignal) -> Iterator[Pcm]:
        for attempt in range(_ATTEMPTS):
            begun = False
            try:
                request = request_of(self.config, "audio/speech", body)
                with urllib.request.urlopen(request, timeout=self.config.patience_seconds) as answer:
                    kind = answer.headers.get_content_type()
                    if kind not in _KINDS:
                        raise SpeakerError(f"{self.name} answers with {kind} instead of sound")
                    for pcm in _samples(answer):
                        if stop:
                            return
                        begun = True
                        yield pcm
                return
            except urllib.error.HTTPError as error:
                if error.code not in PASSING or attempt + 1 == _ATTEMPTS or stop:
                    raise SpeakerError(refused(self.config, error)) from error
            except (OSError, HTTPException, ValueError, AttributeError) as error:
                if stop:
                    return
                if begun:
                    raise SpeakerError(f"{self.config.url} broke off in the middle of a sentence") from error
                if attempt + 1 == _ATTEMPTS:
                    raise SpeakerError(unreached(self.config, error)) from error


_KINDS = frozenset({"audio/pcm", "audio/l16", "audio/wav", "audio/x-wav", "application/octet-stream"})


def _as_written(text: str, begin: int) -> list[SpokenWord]:
    """What stands between spaces, as words."""
    return [SpokenWord(part[0], begin + part.start(), begin + part.end()) for part in re.finditer(r"\S+", text)]


def _samples(answer: Any) -> Iterator[Pcm]:
    """Samples at 24 kHz of an answer; the header of a WAVE file is passed over."""
    rest, first = b"", True
    while block := answer.read(_BLOCK):
        data = rest + block
        if first:
            if data.startswith(b"RIFF"):
                place = data.find(b"data")
                if place < 0:
                    rest = data
                    continue
                _check(data[:place])
                data = data[place + 8 :]
            first = False
        even = len(data) & ~1
        rest = data[even:]
        if even:
            yield to_float(np.frombuffer(data[:even], "<i2"))
    if answer.length:
        raise HTTPException("the sound is not whole")


def _check(header: bytes) -> None:
    channels = int.from_bytes(header[22:24], "little")
    rate = int.from_bytes(header[24:28], "little")
    bits = int.from_bytes(header[34:36], "little")
    if (channels, rate, bits) != (1, RATE, 16):
        raise SpeakerError(f"the sound has {channels} channels of {bits} bits at {rate} Hz; wanted 1 of 16 at {RATE}")


def _voices_of(config: EndpointConfig) -> tuple[str, ...]:
    """Names of an endpoint's voices, in the shapes that speech servers list them; none where it does not."""
    try:
        with urllib.request.urlopen(
            request_of(config, "audio/voices"), timeout=min(_LISTING_SECONDS, config.patience_seconds)
        ) as said:
            listed = json.loads(said.read(1 << 20))
        names = listed.get("presets") or listed.get("voices") or ()
        return tuple(str(name.get("id") if isinstance(name, dict) else name) for name in names)
    except (OSError, HTTPException, ValueError, AttributeError, TypeError):
        return ()
