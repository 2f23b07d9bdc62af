"""What all endpoints share: the engine, the voices, the gate, the counters."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vivavoce.core.errors import CapacityError, VoiceError
from vivavoce.core.gallery import GALLERY
from vivavoce.core.voice import STOCK, Voice
from vivavoce.runtime.api import Input, Output, SessionConfig, TurnEnded
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.model import EarsInfo, FixedVoices
from vivavoce.runtime.seats import LiveSession
from vivavoce.server.metrics import Metrics
from vivavoce.server.security import Gate
from vivavoce.server.settings import Settings
from vivavoce.server.voices import VoiceStore


@dataclass(slots=True)
class Service:
    """One server."""

    engine: LiveEngine
    settings: Settings
    voices: VoiceStore
    gate: Gate
    metrics: Metrics
    duplex: DuplexEngine | None = None
    """What `/v1/live` is served with, where a model that hears and speaks at once is there."""
    duplex_name: str = ""
    draining: bool = False
    calls: dict[str, asyncio.Event] = field(default_factory=dict)
    """WebRTC calls by id; setting the event ends one."""
    busy: int = 0
    """Answers that are being made."""
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    @staticmethod
    def make(engine: LiveEngine, settings: Settings, duplex: DuplexEngine | None = None, name: str = "") -> "Service":
        """All parts for an engine, and a duplex model's with the model's name."""
        return Service(engine, settings, VoiceStore(settings.data), Gate(settings), Metrics(engine), duplex, name)

    @property
    def ears(self) -> tuple[EarsInfo, ...]:
        """What clients can be heard with, the first unless they choose."""
        return self.engine.model.ears

    @property
    def minds(self) -> tuple[str, ...]:
        """Who can think for clients, the first unless they choose."""
        return self.engine.model.minds

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks where that is not our own; nobody can choose, but may ask by this name."""
        return tuple(part.name for part in self.engine.model.used if part.role == "speaker" and not part.own)

    def name(self) -> str:
        """A short unique name for a connection."""
        return f"{next(self._numbers):x}{secrets.token_hex(4)}"

    def voice(self, name: str) -> Voice:
        """The voice that a request means, if the speaker in use has it; VoiceError says what there is otherwise."""
        speaking = self.engine.model.speaking
        if not isinstance(speaking, FixedVoices):
            return self.voices.find(name)
        try:
            found = self.voices.find(name)
        except VoiceError:
            found = Voice.preset(name)
        speaking.check(found)
        return found

    def voice_names(self) -> tuple[str, ...]:
        """Names of the voices that are always there."""
        speaking = self.engine.model.speaking
        return speaking.voices if isinstance(speaking, FixedVoices) and speaking.voices else (*STOCK, *GALLERY)

    @asynccontextmanager
    async def session(self, config: SessionConfig, *, live: bool = False) -> AsyncIterator[LiveSession]:
        """A conversation that is closed whatever happens; CapacityError at once when there is no row. With ``live`` it
        is the duplex model's, if there is one."""
        if self.draining:
            raise CapacityError("The server is shutting down; connect again in a moment.")
        engine = self.duplex if live and self.duplex is not None else self.engine
        session = await engine.open(config)
        try:
            yield session
        finally:
            # a caller who went away still gives the row back
            await asyncio.shield(asyncio.ensure_future(session.close()))

    async def one_turn(self, config: SessionConfig, inputs: list[Input]) -> AsyncGenerator[Output, None]:
        """What happens until the first answer has ended."""
        async with self.session(config) as session:
            for event in inputs:
                await session.send(event)
            with self.working():
                async for output in session.events():
                    yield output
                    if isinstance(output, TurnEnded):
                        return

    def working(self) -> "_Working":
        """Counts an answer while it is being made, so that shutting down can wait for it."""
        return _Working(self)


class _Working:
    def __init__(self, service: Service) -> None:
        self._service = service

    def __enter__(self) -> None:
        self._service.busy += 1
        self._service.quiet.clear()

    def __exit__(self, *_: object) -> None:
        self._service.busy -= 1
        if not self._service.busy:
            self._service.quiet.set()
