"""Messages to a client on a WebSocket, in their order."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from fastapi import WebSocket

SLOW_CLIENT_SECONDS = 30.0


class SlowClient(Exception):
    """A client does not read what it is told."""


class Telling:
    """Writes to a client, one caller at a time; waits for it, but not for ever (SlowClient)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self._one = socket, asyncio.Lock()

    async def __call__(self, messages: Sequence[dict[str, Any] | bytes]) -> None:
        """Events as JSON, bytes as they are."""
        if not messages:
            return
        try:
            async with self._one, asyncio.timeout(SLOW_CLIENT_SECONDS):
                for message in messages:
                    if isinstance(message, bytes):
                        await self._socket.send_bytes(message)
                    else:
                        await self._socket.send_text(json.dumps(message))
        except TimeoutError as error:
            raise SlowClient from error
