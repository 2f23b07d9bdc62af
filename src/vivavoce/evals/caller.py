"""Somebody who talks with a server at the speed of time, over the realtime interface, and notes when it sounds.

A loudspeaker begins 40 ms after an answer's first sound; sound that comes later than it is needed is a gap. The silence
that ends a turn is set by the caller, so what is measured from the end of speech is less that silence.
"""

import asyncio
import base64
import json
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core.errors import ProtocolError
from vivavoce.runtime.model import FRAME, RATE, Pcm

SILENCE_MS = 500
_SILENT = 1e-3
_PATIENCE = 60.0
"""Seconds after which an answer that has not begun is missed."""
_HEARD = 0.6
"""Seconds of an answer that are played before it is interrupted."""
_AT_LENGTH = "Explain every answer in three long sentences."
"""There has to be something that can be interrupted."""


@dataclass(slots=True)
class Noted:
    """What was noted in one conversation, times in ms."""

    first_sound: list[float] = field(default_factory=list)
    """From the end of speech, less the silence."""
    sounded_at: list[float] = field(default_factory=list)
    """By the clock (`time.perf_counter`), when these sounds could be heard."""
    silent_at: list[float] = field(default_factory=list)
    """When the silence before them was over."""
    silenced: list[float] = field(default_factory=list)
    """From the onset of an interruption until the server has said that it is one."""
    gaps: int = 0
    answers: int = 0


class Caller:
    """One conversation."""

    def __init__(self, socket: Any) -> None:
        """Over an open connection."""
        self.noted = Noted()
        self._socket = socket
        self._clock = time.perf_counter()
        self._spoke_until: float | None = None
        self._onset: float | None = None
        self._plays_until = 0.0
        self._began_at = 0.0
        self._item = ""
        self._sounds, self._over = asyncio.Event(), asyncio.Event()
        self._trouble = ""

    async def hold(self, questions: Sequence[Pcm], *, interrupt: bool = False) -> Noted:
        """Asks these one by one; with ``interrupt`` all but the first interrupt the answer before."""
        listening = asyncio.create_task(self._listen())
        try:
            turns = {"type": "server_vad", "silence_duration_ms": SILENCE_MS}
            session = {"type": "realtime", "audio": {"input": {"turn_detection": turns}}}
            await self._tell("session.update", session=session | ({"instructions": _AT_LENGTH} if interrupt else {}))
            self._clock = time.perf_counter()
            for place, question in enumerate(questions):
                if place and interrupt:
                    await self._hush_until(lambda: time.perf_counter() > self._began_at + _HEARD)
                    if self._plays_until > time.perf_counter() + 1.0:
                        self._onset = time.perf_counter()
                self._sounds.clear()
                self._over.clear()
                await self._say(question)
                self._spoke_until = time.perf_counter()
                await self._hush_until(self._sounds.is_set)
                if not interrupt:
                    await self._hush_until(lambda: self._over.is_set() and time.perf_counter() > self._plays_until)
            await self._hush_until(self._over.is_set)
        finally:
            listening.cancel()
        return self.noted

    async def _tell(self, kind: str, **more: Any) -> None:
        await self._socket.send(json.dumps({"type": kind, **more}))

    async def _say(self, pcm: Pcm) -> None:
        """At the speed of time."""
        for begin in range(0, len(pcm), FRAME):
            piece = pcm[begin : begin + FRAME]
            data = to_int16(piece).astype("<i2").tobytes()
            await self._tell("input_audio_buffer.append", audio=base64.b64encode(data).decode())
            self._clock = max(self._clock + len(piece) / RATE, time.perf_counter() - 0.2)
            await asyncio.sleep(max(0.0, self._clock - time.perf_counter()))

    async def _hush_until(self, done: Any) -> None:
        waited, hush = time.perf_counter(), np.zeros(FRAME, np.float32)
        while not done():
            if self._trouble:
                raise ProtocolError(f"the server has refused: {self._trouble}")
            if time.perf_counter() - waited > _PATIENCE:
                raise ProtocolError(f"the server has not answered for {_PATIENCE:.0f} s")
            await self._say(hush)

    async def _listen(self) -> None:
        async for message in self._socket:
            now, event = time.perf_counter(), json.loads(message)
            match event["type"]:
                case "response.output_audio.delta":
                    self._item = event["item_id"]
                    self._play(to_float(np.frombuffer(base64.b64decode(event["delta"]), "<i2")), now)
                case "input_audio_buffer.speech_started" if self._onset is not None:
                    self.noted.silenced.append(1000 * (now - self._onset))
                    self._onset = None
                    played = round(1000 * (now - self._began_at))
                    self._plays_until = now
                    await self._tell(
                        "conversation.item.truncate", item_id=self._item, content_index=0, audio_end_ms=played
                    )
                case "response.created":
                    self._plays_until = 0.0
                case "response.done":
                    self._over.set()
                case "error":
                    self._trouble = event["error"]["message"]

    def _play(self, pcm: Pcm, now: float) -> None:
        if not self._plays_until:
            self.noted.answers += 1
            self._plays_until = self._began_at = now + FRAME / RATE
        elif now > self._plays_until:
            self.noted.gaps += 1
            self._plays_until = now
        self._plays_until += len(pcm) / RATE
        loud = np.abs(pcm) > _SILENT
        if self._spoke_until is not None and loud.any():
            silent, sounds = self._spoke_until + SILENCE_MS / 1000, now + int(np.argmax(loud)) / RATE
            self.noted.silent_at.append(silent)
            self.noted.sounded_at.append(sounds)
            self.noted.first_sound.append(1000 * (sounds - silent))
            self._spoke_until = None
            self._sounds.set()


def connected(address: str) -> AbstractAsyncContextManager[Any]:
    """A connection to the realtime interface of a server."""
    from websockets.asyncio.client import connect

    return connect(f"{address.replace('http', 'ws', 1)}/v1/realtime?model=gpt-realtime", max_size=None)


def held(address: str, questions: Sequence[Pcm], count: int = 1, *, interrupt: bool = False) -> list[Noted]:
    """So many conversations at once, each with all the questions, begun one after the other within a second."""

    async def one(number: int) -> Noted:
        await asyncio.sleep(number * 0.37)  # people do not speak in unison
        async with connected(address) as socket:
            turned = [questions[(place + number) % len(questions)] for place in range(len(questions))]
            return await Caller(socket).hold(turned, interrupt=interrupt)

    async def all_of_them() -> list[Noted]:
        return await asyncio.gather(*map(one, range(count)))

    return asyncio.run(all_of_them())


def spoken_only(pcm: Pcm) -> Pcm:
    """A recording without the silence around it: answers are timed from the last sound."""
    loud = np.flatnonzero(np.abs(pcm) > 0.02 * np.abs(pcm).max())
    return pcm[int(loud[0]) : int(loud[-1]) + 1]
