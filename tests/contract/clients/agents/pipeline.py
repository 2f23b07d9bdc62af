"""OpenAI's VoicePipeline with an agent over chat that has a tool. ``pipeline.py ADDRESS ORDER.pcm``; prints JSON."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from agents import Agent, OpenAIChatCompletionsModel, function_tool, set_tracing_disabled
from agents.voice import (
    AudioInput,
    OpenAIVoiceModelProvider,
    SingleAgentVoiceWorkflow,
    SingleAgentWorkflowCallbacks,
    StreamedAudioInput,
    VoicePipeline,
    VoicePipelineConfig,
)
from openai import AsyncOpenAI

ADDRESS, SOUND = sys.argv[1:3]
RATE = 24_000
calls: list[dict] = []
heard: list[str] = []


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


class Callbacks(SingleAgentWorkflowCallbacks):
    def on_run(self, workflow, transcription: str) -> None:
        heard.append(transcription)


async def main() -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{ADDRESS}/v1", api_key="any")
    agent = Agent(
        name="barista",
        instructions="You are a helpful assistant. Be brief and polite.",
        model=OpenAIChatCompletionsModel("gpt-audio", client),
        tools=[order_drink],
    )
    pcm = np.frombuffer(Path(SOUND).read_bytes(), np.int16)
    errors: list[str] = []
    sizes: list[int] = []
    for live in (False, True):
        pipeline = VoicePipeline(
            workflow=SingleAgentVoiceWorkflow(agent, callbacks=Callbacks()),
            config=VoicePipelineConfig(model_provider=OpenAIVoiceModelProvider(openai_client=client)),
        )
        if live:
            sound = StreamedAudioInput()
            for piece in np.split(np.concatenate((pcm, np.zeros(RATE, np.int16))), range(2400, len(pcm), 2400)):
                await sound.add_audio(piece)
        else:
            sound = AudioInput(buffer=pcm)
        result = await pipeline.run(sound)
        size = 0
        async with asyncio.timeout(120):
            async for event in result.stream():
                if event.type == "voice_stream_event_audio":
                    size += event.data.nbytes
                elif event.type == "voice_stream_event_error":
                    errors.append(str(event.error))
                elif event.type == "voice_stream_event_lifecycle" and event.event == "turn_ended" and live:
                    break
        sizes.append(size)
    print(json.dumps({"heard": heard, "calls": calls, "bytes": sizes, "errors": errors}), flush=True)


asyncio.run(main())
