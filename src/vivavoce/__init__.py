"""vivavoce: speak to it and it answers in speech.

    import vivavoce as vv

    model = vv.load()
    turn = model.ask("question.wav", voice=vv.Voice.described("a gruff old innkeeper, slow and low"))

Importing this package imports no torch; what is named below is loaded when it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivavoce.assistant.model import Model, load
    from vivavoce.assistant.turn import Turn
    from vivavoce.core.errors import VivavoceError
    from vivavoce.core.talk import Tool
    from vivavoce.core.voice import Consent, Voice

__version__ = "0.1.0"

_HOMES = {
    "load": "vivavoce.assistant.model",
    "Model": "vivavoce.assistant.model",
    "Turn": "vivavoce.assistant.turn",
    "Tool": "vivavoce.core.talk",
    "Voice": "vivavoce.core.voice",
    "Consent": "vivavoce.core.voice",
    "VivavoceError": "vivavoce.core.errors",
}

__all__ = ["load", "Model", "Turn", "Voice", "Consent", "Tool", "VivavoceError"]


def __getattr__(name: str) -> Any:
    """Loads a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vivavoce' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__version__"]
