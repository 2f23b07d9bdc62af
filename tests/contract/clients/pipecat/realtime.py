"""A pipeline of pipecat with its realtime service: an order that calls a tool, a change that interrupts the answer.

``realtime.py ADDRESS ORDER.pcm CHANGE.pcm``; what happened is printed as JSON.
"""

import asyncio
import json
import sys
from pathlib import Path

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    STTMetadataFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
    TurnDetection,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")
ADDRESS, *SOUNDS = sys.argv[1:]
RATE = 24_000
NOTICED = 2 * RATE
"""Bytes, a second, in which speech is sure to be noticed."""
calls: list[dict] = []
spoken: list[bool] = []
errors: list[str] = []
state = {"bytes": 0, "interruptions": 0}


async def order_drink(params: FunctionCallParams, drink: str, size: str = "", roast: str = "", milk: str = "") -> None:
    """Order a drink for the customer.

    Args:
        drink: The kind of coffee drink.
        size: Size of the drink.
        roast: The roast of the coffee.
        milk: Kind and amount of milk.
    """
    calls.append(dict(params.arguments))
    await params.result_callback({"status": "ok", "message": "ready at nine"})


class Ears(FrameProcessor):
    """Stands where a loudspeaker would and tells of what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = asyncio.Event()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            state["bytes"] += len(frame.audio)
            self.sound.set()
        elif isinstance(frame, TTSStoppedFrame):
            spoken.append(True)
        elif isinstance(frame, InterruptionFrame):
            state["interruptions"] += 1
        await self.push_frame(frame, direction)


async def main() -> None:
    address = ADDRESS.replace("http", "ws") + "/v1/realtime"
    audio = AudioConfiguration(
        input=AudioInput(transcription=InputAudioTranscription(model="whisper-1"), turn_detection=TurnDetection())
    )
    llm = OpenAIRealtimeLLMService(
        api_key="any",
        base_url=address,
        settings=OpenAIRealtimeLLMService.Settings(
            model="gpt-realtime",
            system_instruction="You are a helpful assistant. Be brief and polite.",
            session_properties=SessionProperties(audio=audio),
        ),
    )
    context = LLMContext([{"role": "developer", "content": "Greet the user."}], tools=[order_drink])
    turns = LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies())  # as the service recommends
    pair = LLMContextAggregatorPair(context, user_params=turns)
    ears = Ears()
    pipeline = Pipeline([pair.user(), llm, ears, pair.assistant()])
    worker = PipelineWorker(pipeline, params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE))

    @worker.event_handler("on_pipeline_error")
    async def on_error(_, frame: ErrorFrame) -> None:
        errors.append(str(frame.error))

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())

    async def say(name: str) -> None:
        """Many times as fast as people speak, but nothing is said on before it is noticed that somebody speaks."""
        pcm, before = Path(name).read_bytes() + bytes(RATE * 2), state["interruptions"]
        for start in range(0, len(pcm), 4800):
            if start == NOTICED:
                await until(lambda: state["interruptions"] > before)
            await worker.queue_frame(InputAudioRawFrame(pcm[start : start + 4800], RATE, 1))
            await asyncio.sleep(0.005)

    def said() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {"user": [], "assistant": []}
        for message in context.get_messages():
            if message["role"] in found and message.get("content"):
                found[message["role"]].append(message["content"])
        return found

    async def until(what) -> None:
        async with asyncio.timeout(90):
            while not what():
                await asyncio.sleep(0.02)

    try:
        # What was heard is written down when the answer has begun, and not up to a second later: an interruption within
        # that second can throw away the answer's end, and with it what was to be written, until the next turn is.
        await worker.queue_frame(STTMetadataFrame(service_name="whisper-1", ttfs_p99_latency=0.0))
        await worker.queue_frame(LLMContextFrame(context))
        await until(lambda: spoken)  # the greeting
        ears.sound.clear()
        await say(SOUNDS[0])
        await until(lambda: calls)
        ears.sound.clear()
        await asyncio.wait_for(ears.sound.wait(), 90)
        await until(lambda: said()["user"])
        await say(SOUNDS[1])
        await until(lambda: len(calls) > 1)
        await until(lambda: "nine" in said()["assistant"][-1])  # what the tool gave back
    except TimeoutError:
        errors.append("timeout")
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 20)
    print(json.dumps({"calls": calls, "heard": said()["user"], "said": said()["assistant"], "errors": errors, **state}))


asyncio.run(main())
