"""Whose voice it is: what ``--speaker`` may say, and what each choice becomes."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from vivavoce.assistant.kokoro import KokoroVoice
from vivavoce.assistant.remote import endpoint_of, is_address
from vivavoce.assistant.sentences import system_of
from vivavoce.assistant.speaking import Mouth
from vivavoce.assistant.synthesis import PhraseMouth
from vivavoce.assistant.timing import WordTiming
from vivavoce.assistant.voice_endpoint import EndpointVoice
from vivavoce.core.errors import ConfigError, PartError
from vivavoce.core.parts import load_part
from vivavoce.models.listener import Listener

MINI: Final = "mini"
_PATIENCE_SECONDS: Final = 10.0
"""A listener waits no longer for a voice that has begun to speak."""


def speaker_of(choice: str | Path, listener: Callable[[], Listener]) -> Mouth | PhraseMouth | None:
    """The speaker of a choice; None for the model's own. ``listener`` finds words in sound whose maker does not tell.

    A choice is ``mini``, a speaker of the catalogue that was fetched (``kokoro``), a Kokoro of the hub that was
    (``hf:OWNER/NAME``), a folder with a Kokoro or with the parts ``speaker`` and ``codec``, or
    ``http://HOST/v1#MODEL``. Raises ConfigError for anything else, PartError for a model that is not here.
    """
    name = str(choice)
    if name in ("", MINI):
        return None
    if is_address(name):
        return PhraseMouth(EndpointVoice(endpoint_of(name, _PATIENCE_SECONDS, what="speaker"), WordTiming(listener)))
    folder = _folder_of(name)
    if not list(folder.glob("*.onnx")):
        return _of_parts(folder)
    return PhraseMouth(KokoroVoice(folder, WordTiming(listener), folder.name))


def _folder_of(name: str) -> Path:
    """Where a speaker of the catalogue lies, or the folder of this name."""
    from vivavoce.hub.catalogue import catalogue
    from vivavoce.hub.fetch import DESCRIPTION, folder_of, place
    from vivavoce.hub.repository import PREFIX

    if name.startswith(PREFIX):
        folder = folder_of(name)
        if not (folder / DESCRIPTION).is_file():
            raise PartError(f"{name} is not on this machine; fetch it: vivavoce models get {name}")
        if not list(folder.glob("*.onnx")):
            raise PartError(f"{name} is no speaker; one of the hub has an .onnx file and voices.npz, as Kokoro has")
        return folder
    speakers = {model.name: model for model in catalogue() if model.kind == "speaker"}
    if name in speakers:
        return place(speakers[name])
    if not Path(name).is_dir():
        raise ConfigError(
            f"there is no speaker {name!r}; give mini, {', '.join(speakers)}, a folder, hf:OWNER/NAME, "
            "or the address of one: http://HOST:PORT/v1#MODEL"
        )
    return Path(name)


def _of_parts(folder: Path) -> Mouth:
    if system_of(folder) is not None:
        raise ConfigError(f"the speaker in {folder} says whole sentences and cannot talk live; use it with say")
    return Mouth(load_part(folder, "speaker"), load_part(folder, "codec"))
