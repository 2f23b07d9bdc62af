"""A real server on a free port of this machine, with the scripted model behind it."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import numpy as np
import uvicorn
from openai import AsyncOpenAI

from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import decode, fake_model
from vivavoce.server.app import create_app
from vivavoce.server.run import uvicorn_config
from vivavoce.server.settings import Settings

MAY_BE_NULL = {"previous_item_id", "turn_detection"}
"""A first item has none before it; turn detection was switched off."""


def unset(value: Any, path: str = "") -> list[str]:
    """Paths of what is null and should not have been sent."""
    if isinstance(value, dict):
        return [
            found
            for name, each in value.items()
            if name != "error"
            for found in (
                [f"{path}.{name}"] if each is None and name not in MAY_BE_NULL else unset(each, f"{path}.{name}")
            )
        ]
    if isinstance(value, list):
        return [found for place, each in enumerate(value) for found in unset(each, f"{path}[{place}]")]
    return []


@contextmanager
def serving(settings: Settings | None = None, rows: int = 4, model: Any = None, **more: Any) -> Iterator[str]:
    """The address of a running server; ``more`` is for `create_app`."""
    engine = LiveEngine(model or fake_model(), rows=rows)
    settings = settings or Settings(port=0)
    ready = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready.set()

        def install_signal_handlers(self) -> None:
            pass

    server = Server(uvicorn_config(create_app(engine, settings, **more), settings))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    assert ready.wait(60), "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


class Talk:
    """A realtime connection that remembers all it was told."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.seen = connection, []

    async def until(self, kind: str, count: int = 1) -> Any:
        """The events up to this one."""
        async with asyncio.timeout(60):
            while True:
                event = await self.connection.recv()
                self.seen.append(event)
                if event.type == kind:
                    count -= 1
                    if not count:
                        return event

    async def say(self, pcm: np.ndarray) -> None:
        data = (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()
        for start in range(0, len(data), 9600):
            piece = base64.b64encode(data[start : start + 9600]).decode()
            await self.connection.input_audio_buffer.append(audio=piece)

    def of(self, kind: str) -> list[Any]:
        return [event for event in self.seen if event.type == kind]

    def heard(self, since: int = 0) -> str:
        """What the answer says, by its sound."""
        parts = [e.delta for e in self.seen[since:] if e.type == "response.output_audio.delta"]
        pcm = np.frombuffer(b"".join(base64.b64decode(part) for part in parts), "<i2")
        return decode(pcm / np.float32(32768))


@asynccontextmanager
async def talking(client: AsyncOpenAI, intent: str = "", **session: Any) -> AsyncIterator[Talk]:
    where = {"extra_query": {"intent": intent}} if intent else {"model": "gpt-realtime"}
    async with client.realtime.connect(**where) as connection:
        talk = Talk(connection)
        await talk.until("session.created")
        if session:
            await connection.session.update(session={"type": "realtime", **session})
            await talk.until("session.updated")
        yield talk
