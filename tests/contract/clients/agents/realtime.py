"""OpenAI's agents for Python with RealtimeRunner: an order that calls a tool, a change that interrupts the answer.

``realtime.py ADDRESS ORDER.pcm CHANGE.pcm``; what happened is printed as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner

ADDRESS, *SOUNDS = sys.argv[1:]
RATE = 24_000
calls: list[dict] = []
errors: list[str] = []
state = {"bytes": 0, "interruptions": 0, "done": 0}
history: list = []
sound = asyncio.Event()


@function_tool
def order_drink(drink: str, size: str = "", roast: str = "", milk: str = "") -> str:
    """Order a drink for the customer.

    Args:
        drink: The kind of coffee drink.
        size: Size of the drink.
        roast: The roast of the coffee.
        milk: Kind and amount of milk.
    """
    calls.append({"drink": drink, "size": size, "roast": roast, "milk": milk})
    return "ready at nine"


async def watch(session) -> None:
    global history
    async for event in session:
        match event.type:
            case "audio":
                state["bytes"] += len(event.audio.data)
                sound.set()
            case "audio_interrupted":
                state["interruptions"] += 1
            case "history_updated":
                history = event.history
            case "error":
                errors.append(str(event.error))
            case "raw_model_event" if event.data.type == "turn_ended":
                state["done"] += 1


async def say(session, name: str) -> None:
    pcm = Path(name).read_bytes() + bytes(2 * RATE)
    for start in range(0, len(pcm), 4800):
        await session.send_audio(pcm[start : start + 4800])
        await asyncio.sleep(0.005)


async def until(what) -> None:
    async with asyncio.timeout(90):
        while not what():
            await asyncio.sleep(0.02)


async def main() -> None:
    agent = RealtimeAgent(name="barista", instructions="You are a helpful assistant. Be brief.", tools=[order_drink])
    settings = {
        "model_name": "gpt-realtime",
        "audio": {
            "input": {
                "format": "pcm16",
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"format": "pcm16", "voice": "ash"},
        },
    }
    runner = RealtimeRunner(agent, config={"model_settings": settings, "tracing_disabled": True})
    url = ADDRESS.replace("http", "ws") + "/v1/realtime?model=gpt-realtime"
    async with await runner.run(model_config={"url": url, "api_key": "any"}) as session:
        watching = asyncio.create_task(watch(session))
        try:
            await say(session, SOUNDS[0])
            await until(lambda: calls and state["done"] >= 1)
            sound.clear()
            await asyncio.wait_for(sound.wait(), 90)
            await say(session, SOUNDS[1])
            await until(lambda: len(calls) > 1 and state["done"] >= 4)
        except TimeoutError:
            errors.append("timeout")
        watching.cancel()
    said: dict[str, list[str]] = {"user": [], "assistant": []}
    for item in history:
        if item.type == "message" and item.role in said:
            parts = (getattr(part, "transcript", None) or getattr(part, "text", None) or "" for part in item.content)
            said[item.role].append("".join(parts))
    print(json.dumps({"calls": calls, "heard": said["user"], "said": said["assistant"], "errors": errors, **state}))


asyncio.run(main())
