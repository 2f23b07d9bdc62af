"""A mind with ears of its own answers what it heard itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from jaxtyping import Float32

import vivavoce.assistant.heard_mind as minds
from vivavoce.assistant.heard_mind import HeardMind, load_heard_mind
from vivavoce.core.errors import ConfigError
from vivavoce.core.talk import Entry, Say, Thought
from vivavoce.hub.salmonn import SalmonnRecogniser
from vivavoce.hub.whisper import Spelled, Transcribed, Wanted
from vivavoce.runtime.model import Context


class Told:
    """Says what it is told."""

    def respond(self, context: Context) -> Iterator[Thought]:
        yield Say(" | ".join(entry.text for entry in context.entries))


class Ears(SalmonnRecogniser):
    """Always hears the same."""

    def __init__(self) -> None:
        self.name, self.seconds = "own", [0.0]

    def transcribe(
        self, wave: Float32[np.ndarray, " N"], wanted: Wanted, between: Callable[[], None] = lambda: None
    ) -> Transcribed:
        self.seconds.append(len(wave) / 16000)
        assert wanted.clips == ((0.0, len(wave) / 16000),)
        return Transcribed((Spelled("where", 0.0, 0.1, 1.0), Spelled("now", 0.1, 0.2, 1.0)), "en")


def test_the_last_spoken_question_is_what_it_heard() -> None:
    ears = Ears()
    mind = HeardMind(ears, Told())
    spoken = Entry(id="1", text="wear no", spoken=True, audio=np.zeros(48000, np.int16))
    before = (Entry(id="0", text="first"), Entry(id="2", role="assistant", text="yes"))
    assert list(mind.respond(Context(entries=(*before, spoken)))) == [Say("first | yes | where now")]
    assert ears.seconds == [0.0, 2.0] and mind.name == "own"
    written = Entry(id="3", text="wear no")
    assert list(mind.respond(Context(entries=(*before, written)))) == [Say("first | yes | wear no")]


def test_a_language_model_without_a_name_holds_no_conversations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minds, "SalmonnRecogniser", lambda folder: SimpleNamespace(config=SimpleNamespace(llm=None)))
    with pytest.raises(ConfigError, match="only writes down what is said"):
        load_heard_mind(tmp_path)
