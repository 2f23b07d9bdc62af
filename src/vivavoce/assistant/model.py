"""The user's model: load it, let it say something, ask it, let it transcribe, converse with it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vivavoce.assistant.chat import ChatMind
from vivavoce.assistant.conversation import Conversation
from vivavoce.assistant.described import ModelFile, read_model
from vivavoce.assistant.duplex import refuse_duplex
from vivavoce.assistant.endpoint import EndpointMind
from vivavoce.assistant.following import FollowingEars
from vivavoce.assistant.heard_mind import load_heard_mind
from vivavoce.assistant.hearing import Ears
from vivavoce.assistant.minds import Minds, name_of
from vivavoce.assistant.remote import endpoint_of, is_address
from vivavoce.assistant.speakers import MINI, speaker_of
from vivavoce.assistant.speaking import Mouth
from vivavoce.assistant.speech_mind import load_speech_mind
from vivavoce.assistant.synthesis import PhraseMouth
from vivavoce.assistant.task_mind import load_task_mind
from vivavoce.assistant.thinking import CharacterMind
from vivavoce.assistant.turn import Finished, Transcript, Turn
from vivavoce.assistant.used import used_by
from vivavoce.assistant.whisper import WhisperEars, recognisers_of
from vivavoce.audio.files import Recording, read_recording
from vivavoce.core.errors import AudioError, SpeakerError, TextError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED, bundled_or_path
from vivavoce.core.talk import Tool
from vivavoce.core.voice import Voice
from vivavoce.data.sheet import Sheet
from vivavoce.hub.audiopalm import is_audiopalm
from vivavoce.hub.fetch import check_here
from vivavoce.hub.salmonn import below, is_salmonn
from vivavoce.hub.speechgpt import is_speechgpt
from vivavoce.hub.whisper import Recogniser
from vivavoce.models.codec import Codec
from vivavoce.models.listener import Listener
from vivavoce.runtime.activity import Loudness, SileroActivity
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.model import RATE, Abilities, HearingOptions, Spoken, Thinking
from vivavoce.runtime.seats import LiveSession
from vivavoce.text.normalise import phrases

_ON = torch.ones(1, dtype=torch.bool)


def load(
    model: str | Path = BUNDLED,
    *,
    ears: str | Sequence[str] = "",
    mind: str | Thinking | Sequence[str | Thinking] = "",
    speaker: str | Path = "",
    threads: int = 1,
) -> "Model":
    """The default model, a bundled one by its name, or the one in a folder (`assistant.described`).

    ``ears`` replaces who finds the words: a name that ``vivavoce models`` lists (``whisper-base``), a folder or
    ``hf:OWNER/NAME``; of several, ``mini`` among them, the first is used where nothing else is asked for.
    ``mind`` replaces the part that decides what is said: a name that ``vivavoce models`` lists, a folder, a ``.gguf``
    file or ``hf:OWNER/NAME`` is a chat model, a folder of ``vivavoce train speechgpt`` or ``audiopalm`` one that hears
    and speaks itself, one of ``vivavoce train salmonn`` one that finds the words itself, ``http://HOST/v1#MODEL`` any
    server of chat completions, an object with `Thinking.respond` one of your own. Of several, ``mini`` among them, the
    first thinks where nobody else is asked for.
    ``speaker`` replaces the voice: a name of the catalogue, a folder, or the address of any server of speech.

    ``threads`` is how many cores torch may take in this process: the steps of these models are too small to share, and
    on a machine that is busy with other things sharing them is many times slower. 0 leaves torch as it is.
    Raises PartError when there is no model, or when a part is missing or damaged.
    """
    if threads:
        torch.set_num_threads(threads)
    refuse_duplex(model)
    described = read_model(model)
    described.check()
    wanted = ([ears] if isinstance(ears, str) else list(ears)) or [""]
    minds = ([mind] if isinstance(mind, str | Thinking) else list(mind)) or [""]
    thinking = {one if isinstance(one, str) else name_of("own", one): one for one in minds}
    first, *others = thinking
    described = replace(
        described,
        ears=wanted[0] or described.ears,
        mind=first or described.mind,
        speaker=str(speaker) or described.speaker,
    )
    check_here(below((described.ears, described.speaker, *wanted, described.mind, *others)))
    recognisers = recognisers_of([described.ears, *wanted[1:]])
    thinks = {choice: mind_of(thinking.get(choice, choice)) for choice in (described.mind, *others)}
    return Model(described, thinks, described.speaker, recognisers)


def mind_of(choice: str | Thinking) -> Thinking | None:
    """The mind of a choice; None for the model's own. ConfigError and PartError say what can be chosen."""
    if not isinstance(choice, str):
        return choice
    if choice in ("", "mini"):
        return None
    if is_address(choice):
        return EndpointMind(endpoint_of(choice))
    if is_speechgpt(choice):
        return load_speech_mind(Path(choice))
    if is_audiopalm(choice):
        return load_task_mind(Path(choice))
    if is_salmonn(choice):
        return load_heard_mind(bundled_or_path(choice))
    from vivavoce.hub.chat_model import load_chat

    return ChatMind(load_chat(choice))


def recording_of(recording: str | Path | np.ndarray | torch.Tensor) -> Recording:
    """A recording (a file, or Float[N] at 24 kHz) at 24 kHz; AudioError when it is unusable."""
    if isinstance(recording, str | Path):
        return read_recording(recording, RATE)
    sound = np.asarray(recording, dtype=np.float32)
    if sound.ndim != 1 or not len(sound) or not np.isfinite(sound).all():
        raise AudioError(
            f"a recording is Float[N] at 24 kHz of finite numbers, got the shape {sound.shape}; convert it"
        )
    return Recording(torch.from_numpy(np.ascontiguousarray(sound)), RATE)


def question_of(file: Path) -> tuple[np.ndarray | str, str]:
    """What a file asks: the words of a ``.txt`` file, the sound (Float[N] at 24 kHz) of any other, and a warning."""
    if file.suffix.lower() != ".txt":
        read = recording_of(file)
        return read.wave.numpy(), read.warning
    try:
        return file.read_text(encoding="utf-8"), ""
    except OSError as error:
        raise TextError(f"the question {file} cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise TextError(f"the question {file} is no UTF-8 text; save it as UTF-8") from error


class Model:
    """Parts of a model and what they can do together. Parts are read when they are first needed."""

    def __init__(
        self,
        described: ModelFile,
        minds: Mapping[str, Thinking | None] | None = None,
        speaker: str | Path = MINI,
        recognisers: Mapping[str, Recogniser | None] | None = None,
    ) -> None:
        """Reads nothing yet but the ``speaker``; it, the ``minds`` (None stands for its own) and the ``recognisers``
        take the places of the model's own."""
        self.described = described
        self._minds = minds or {MINI: None}
        self._speaker = speaker_of(speaker, lambda: self.listener)
        self._recognisers = recognisers or {}

    @property
    def folder(self) -> Path:
        """Where the model's file lies."""
        return self.described.folder

    def part(self, name: str) -> Any:
        """A part, read from where it lies."""
        return load_part(self.described.at(name), name)

    @property
    def character(self) -> Sheet:
        """Who speaks: its sheet."""
        return self.described.sheet

    @cached_property
    def listener(self) -> Listener:
        """Sound to phones."""
        return self.part("listener")

    @cached_property
    def codec(self) -> Codec:
        """Sound to tokens and back."""
        return self.part("codec")

    @cached_property
    def ears(self) -> Ears | WhisperEars:
        """Sound to words."""
        mini = Ears(self.listener, self.part("words"))
        return WhisperEars(mini, self._recognisers) if self._recognisers else mini

    def ungated(self) -> "Model":
        """The same model that takes every sound for speech; to measure with."""
        other = copy(self)
        mini = Ears(self.listener, self.part("words"), gated=False)
        other.__dict__["ears"] = WhisperEars(mini, self._recognisers) if self._recognisers else mini
        return other

    @cached_property
    def minds(self) -> dict[str, Thinking]:
        """Who can think, by name; the first thinks where a conversation names nobody."""
        found = {
            choice: mind or CharacterMind(self.part("mind"), self.character) for choice, mind in self._minds.items()
        }
        return {name_of(choice, mind): mind for choice, mind in found.items()}

    @property
    def mind(self) -> Thinking:
        """Who thinks where nobody else is asked for."""
        return next(iter(self.minds.values()))

    @cached_property
    def mouth(self) -> Mouth:
        """Text to sound, by the model's own speaker."""
        return Mouth(self.part("speaker"), self.codec)

    @property
    def speaking(self) -> Mouth | PhraseMouth:
        """Text to sound, by whoever was chosen."""
        return self._speaker or self.mouth

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of the model's file, else those that its mind was trained to call; another mind has none."""
        if self.described.tools is not None:
            return tuple(Tool(**tool) for tool in self.described.tools)
        return tuple(getattr(self.mind, "tools", ()))

    @cached_property
    def abilities(self) -> Abilities:
        """Hearing, thinking and speaking, as conversations by turns drive them."""
        minds = Minds(self.minds)
        return Abilities(
            activity=Loudness(),
            hearing=self.ears,
            thinking=minds,
            speaking=self.speaking,
            name=self.described.name,
            used=used_by(self.described),
            minds=minds.names,
            thinks_elsewhere=minds.elsewhere,
            ears=self.ears.info,
        )

    def say(self, text: str, *, voice: Voice | None = None, seed: int = 0) -> Iterator[np.ndarray]:
        """Speech for a text, Float[N] at 24 kHz, piece by piece as it is made; errors as those of `spoken`."""
        for piece in self.spoken(text, voice=voice, seed=seed):
            if len(piece.pcm):
                yield piece.pcm

    def spoken(self, text: str, *, voice: Voice | None = None, seed: int = 0) -> Iterator[Spoken]:
        """Speech for a text with the times of its words, piece by piece as it is made.

        Raises TextError, before anything is said, for a text with nothing to say in it, with letters that cannot be
        read, or as long as a book.
        """
        if not text.strip():
            raise TextError("there is no text to say; give at least one word")
        phrases(text)  # says what cannot be read before a part of it has been said
        mouth: Any = self.speaking
        state = mouth.init_state(1)
        mouth.begin(state, 0, voice or Voice(), seed)
        mouth.feed(state, 0, text, last=True)
        while (spoken := mouth.step(state, _ON)[0]) is not None:
            yield spoken
            if spoken.trouble:
                raise SpeakerError(spoken.trouble)
            if spoken.done:
                return

    def transcribe(
        self, recording: str | Path | np.ndarray | torch.Tensor, *, options: HearingOptions | None = None
    ) -> Transcript:
        """The words of a recording with their times; any length. ``options`` are for ears that can be told.

        Raises ConfigError when the ears or the language are not there.
        """
        from vivavoce.audio.resample import resample

        options = options or HearingOptions()
        self.ears.check(options)
        read = recording_of(recording)
        heard = self.ears.whole(resample(read.wave[None], RATE, self.listener.config.mel.sample_rate), options)
        return replace(Transcript.of(heard.until(len(read.wave))), warning=read.warning)

    def ask(
        self,
        question: str | Path | np.ndarray | torch.Tensor,
        *,
        voice: Voice | None = None,
        tools: Sequence[Tool] | None = None,
        speak: bool = True,
        seed: int = 0,
    ) -> Turn:
        """One independent turn about a recording (a path, or Float[N] at 24 kHz)."""
        read = recording_of(question)
        conversation = self.conversation(voice=voice, tools=tools, seed=seed)
        turn = finished(conversation.ask(read.wave.numpy(), speak=speak))
        turn.warning = read.warning
        return turn

    def answer(self, text: str, *, voice: Voice | None = None, speak: bool = True, seed: int = 0) -> Turn:
        """One independent turn about a written question."""
        return finished(self.conversation(voice=voice, seed=seed).ask(text, speak=speak))

    def conversation(
        self, *, voice: Voice | None = None, tools: Sequence[Tool] | None = None, seed: int = 0
    ) -> Conversation:
        """Turns that remember each other; by default the character's own tools are declared."""
        declared = self.tools if tools is None else tuple(tools)
        return Conversation(self.abilities, voice=voice, tools=declared, seed=seed)

    def engine(self, rows: int = 4, *, forked: bool = False) -> LiveEngine:
        """A new engine for live conversations, ``rows`` at once; ``forked`` as in `LiveEngine`."""
        abilities = replace(self.abilities, activity=SileroActivity())
        if not isinstance(self.ears, WhisperEars):
            return LiveEngine(abilities, rows=rows, forked=forked)
        ears = FollowingEars(self.ears.mini, self.ears.recognisers, forked)
        abilities = replace(abilities, hearing=ears)
        return LiveEngine(abilities, rows=rows, forked=forked, closing=ears.stop)

    @cached_property
    def _engine(self) -> LiveEngine:
        return self.engine()

    @asynccontextmanager
    async def session(
        self,
        *,
        voice: Voice | None = None,
        tools: Sequence[Tool] | None = None,
        instructions: str = "",
        turns: TurnConfig | None = None,
    ) -> AsyncIterator[LiveSession]:
        """A live conversation: ``send`` what comes in, iterate over ``events``; closed when the block ends.

        Raises CapacityError when four are going on already; for more, make an `engine` with more rows.
        """
        config = SessionConfig(
            voice=voice or Voice(),
            tools=self.tools if tools is None else tuple(tools),
            instructions=instructions,
            turns=turns or TurnConfig(kind="semantic_vad"),
        )
        session = await self._engine.open(config)
        try:
            yield session
        finally:
            await session.close()


def finished(happenings: Iterator[Any]) -> Turn:
    """Runs a turn to its end."""
    for happening in happenings:
        if isinstance(happening, Finished):
            return happening.turn
    raise AssertionError("a turn ends with Finished")
