"""An agent session of LiveKit without a room: an order that calls a tool, a change that interrupts the answer.

``realtime.py ADDRESS ORDER.pcm CHANGE.pcm``; what happened is printed as JSON.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities
from livekit.plugins import openai

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
ADDRESS, *SOUNDS = sys.argv[1:]
RATE = 24_000
calls: list[dict] = []
heard: list[str] = []
said: list[str] = []
errors: list[str] = []
cancelled: list[bool] = []


class Microphone(AudioInput):
    """Gives what is put into it."""

    def __init__(self) -> None:
        super().__init__(label="file")
        self.frames: asyncio.Queue[rtc.AudioFrame] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        return await self.frames.get()

    async def say(self, name: str) -> None:
        """A recording and a second of silence, faster than it was spoken."""
        pcm = Path(name).read_bytes() + bytes(2 * RATE)
        for start in range(0, len(pcm), 4800):
            piece = pcm[start : start + 4800]
            self.frames.put_nowait(rtc.AudioFrame(piece, RATE, 1, len(piece) // 2))
            await asyncio.sleep(0.005)


class Loudspeaker(AudioOutput):
    """Plays at the speed of time, to nobody."""

    def __init__(self) -> None:
        super().__init__(label="nobody", capabilities=AudioOutputCapabilities(pause=False), sample_rate=RATE)
        self.begun = 0.0
        self.seconds = 0.0
        self.bytes = 0
        self.end: asyncio.TimerHandle | None = None
        self.sound = asyncio.Event()

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self.begun:
            self.begun = time.monotonic()
            self.on_playback_started(created_at=time.time())
        self.seconds += frame.duration
        self.bytes += len(frame.data) * 2
        self.sound.set()

    def flush(self) -> None:
        super().flush()
        if self.begun:
            left = self.begun + self.seconds - time.monotonic()
            self.end = asyncio.get_running_loop().call_later(max(0.0, left), self.finish, False)

    def clear_buffer(self) -> None:
        if self.begun:
            self.finish(True)

    def finish(self, interrupted: bool) -> None:
        played = min(self.seconds, time.monotonic() - self.begun)
        if self.end:
            self.end.cancel()
        self.begun = self.seconds = 0.0
        self.on_playback_finished(playback_position=played, interrupted=interrupted)


class Barista(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="You are a helpful assistant. Be brief and polite.")

    async def on_enter(self) -> None:
        await self.session.generate_reply(instructions="Greet the user.")

    @function_tool
    async def order_drink(
        self, context: RunContext, drink: str, size: str = "", roast: str = "", milk: str = ""
    ) -> dict:
        """Order a drink for the customer.

        Args:
            drink: The kind of coffee drink.
            size: Size of the drink.
            roast: The roast of the coffee.
            milk: Kind and amount of milk.
        """
        calls.append({"drink": drink, "size": size, "roast": roast, "milk": milk})
        return {"status": "ok", "message": "ready at nine"}


async def until(what, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.02)


async def main() -> None:
    model = openai.realtime.RealtimeModel(base_url=f"{ADDRESS}/v1", api_key="any", model="gpt-realtime")
    session = AgentSession(llm=model)
    microphone, loudspeaker = Microphone(), Loudspeaker()
    session.input.audio, session.output.audio = microphone, loudspeaker
    session.on("user_input_transcribed", lambda event: event.is_final and heard.append(event.transcript))
    session.on("metrics_collected", lambda event: cancelled.append(getattr(event.metrics, "cancelled", False)))
    session.on("error", lambda event: errors.append(str(event.error)))
    session.on(
        "conversation_item_added",
        lambda event: (
            event.item.type == "message" and event.item.role == "assistant" and said.append(event.item.text_content)
        ),
    )
    await session.start(Barista())
    try:
        await until(lambda: said)
        loudspeaker.sound.clear()
        await microphone.say(SOUNDS[0])
        await until(lambda: calls)
        await asyncio.wait_for(loudspeaker.sound.wait(), 90)
        await microphone.say(SOUNDS[1])
        await until(lambda: len(calls) > 1)
        await until(lambda: "nine" in said[-1])  # what the tool gave back
    except TimeoutError:
        errors.append("timeout")
    await session.aclose()
    print(
        json.dumps(
            {
                "calls": calls,
                "heard": heard,
                "said": said,
                "errors": errors,
                "bytes": loudspeaker.bytes,
                "interruptions": sum(cancelled),
            }
        )
    )


asyncio.run(main())
