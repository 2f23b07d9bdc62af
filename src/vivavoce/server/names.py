"""Names that OpenAI's clients use, and which of our models and voices answer to them."""

from collections.abc import Sequence

from vivavoce.core.errors import VoiceError
from vivavoce.core.gallery import GALLERY
from vivavoce.core.voice import STOCK, Voice

OURS = "vivavoce-mini"
MODELS: dict[str, tuple[str, ...]] = {
    "realtime": (
        *("gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-1.5", "gpt-realtime-2", "gpt-realtime-2.1"),
        *("gpt-realtime-2.1-mini", "gpt-realtime-mini", "gpt-realtime-mini-2025-10-06"),
        *("gpt-realtime-mini-2025-12-15", "gpt-4o-realtime-preview", "gpt-4o-realtime-preview-2024-10-01"),
        *("gpt-4o-realtime-preview-2024-12-17", "gpt-4o-realtime-preview-2025-06-03", "gpt-4o-mini-realtime-preview"),
        *("gpt-4o-mini-realtime-preview-2024-12-17", "gpt-realtime-whisper", "gpt-live-transcribe"),
        *("gpt-audio-1.5", "gpt-audio-mini", "gpt-audio-mini-2025-10-06", "gpt-audio-mini-2025-12-15"),
    ),
    "speech": (
        *("tts-1", "tts-1-1106", "tts-1-hd", "tts-1-hd-1106", "gpt-4o-mini-tts"),
        "gpt-4o-mini-tts-2025-12-15",
    ),
    "transcription": (
        *("whisper-1", "gpt-transcribe", "gpt-4o-transcribe", "gpt-4o-mini-transcribe"),
        "gpt-4o-mini-transcribe-2025-12-15",
    ),
    "chat": (
        *("gpt-audio", "gpt-audio-1.5", "gpt-audio-mini", "gpt-audio-mini-2025-10-06", "gpt-audio-mini-2025-12-15"),
        *("gpt-4o-audio-preview", "gpt-4o-audio-preview-2024-10-01", "gpt-4o-audio-preview-2024-12-17"),
        *("gpt-4o-audio-preview-2025-06-03", "gpt-4o-mini-audio-preview"),
        "gpt-4o-mini-audio-preview-2024-12-17",
    ),
}


class UnknownModel(Exception):
    """Nobody here answers to this name; says what was asked for, and what there is."""

    def __init__(self, name: str, kind: str = "", loaded: Sequence[str] = ()) -> None:
        known = MODELS[kind] if kind else dict.fromkeys(name for group in MODELS.values() for name in group)
        super().__init__(f"The model '{name}' does not exist here; there are: {', '.join((OURS, *loaded, *known))}.")


def check_model(name: str, kind: str, loaded: Sequence[str] = ()) -> str:
    """Which of the ``loaded`` a name means, empty for the first; UnknownModel if nobody of this kind answers to it."""
    if name in loaded:
        return name
    if name != OURS and name not in MODELS[kind]:
        raise UnknownModel(name, kind, loaded)
    return ""


def stock_voice(name: str) -> Voice | None:
    """A voice of ours that answers to this name, or that these words describe."""
    if name in STOCK:
        return Voice(name=name, description=STOCK[name])
    if name in GALLERY:
        return Voice.preset(name)
    return Voice.described(name) if " " in name.strip() else None


def unknown_voice(name: str) -> VoiceError:
    """The error for a voice that no stock name or description means, with the names that there are."""
    return VoiceError(
        f"There is no voice '{name}'; use one of {', '.join((*STOCK, *GALLERY))}, an id or name of yours, or a "
        "description in words."
    )
