"""How a suite drives the product: through what any user has, `load`, `ask`, `say` and `transcribe`."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import write_audio
from vivavoce.core.voice import Voice
from vivavoce.data.sheet import Sheet

SPEAKING_RATE = 24_000


@runtime_checkable
class Assistant(Protocol):
    """The part of the user's model that is measured."""

    @property
    def character(self) -> Sheet:
        """Who speaks, and what can be ordered there."""
        ...

    @property
    def codec(self) -> Any:
        """Sound to tokens and back."""
        ...

    @property
    def listener(self) -> Any:
        """Sound to phones."""
        ...

    def ask(self, recording: Any, /, *, voice: Voice | None = None, speak: bool = True) -> Any:
        """One independent spoken turn: transcript, words, reply, calls, audio, first_audio_ms, rtf."""
        ...

    def say(self, text: str, /, *, voice: Voice | None = None, seed: int = 0) -> Iterable[Any]:
        """Speech in chunks."""
        ...

    def transcribe(self, recording: Any, /) -> Any:
        """The words of a recording."""
        ...

    def ungated(self) -> Any:
        """The same model that takes every sound for speech."""
        ...


def asked(model: Assistant, wave: Float[Tensor, " N"], sample_rate: int) -> Any:
    """The turn that answers a recording, without speaking the answer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "heard.wav"
        write_audio(path, wave, sample_rate, comment="")
        return model.ask(path, speak=False)


def understood(model: Assistant, wave: Float[Tensor, " N"], sample_rate: int) -> str:
    """The transcript of a recording."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "heard.wav"
        write_audio(path, wave, sample_rate, comment="")
        return model.transcribe(path).transcript


def said(model: Assistant, text: str, voice: Voice | None = None, seed: int = 0) -> Float[Tensor, " N"]:
    """A text as the model speaks it, at 24 kHz."""
    return torch.cat([torch.as_tensor(chunk).float().reshape(-1) for chunk in model.say(text, voice=voice, seed=seed)])
