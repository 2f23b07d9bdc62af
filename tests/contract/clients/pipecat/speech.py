"""pipecat's services for recognition (by files and live) and for speech.

``speech.py ADDRESS ORDER.pcm``; what happened is printed as JSON.
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
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

logger.remove()
logger.add(sys.stderr, level="WARNING")
ADDRESS, SOUND = sys.argv[1:3]
RATE = 24_000


class Watch(FrameProcessor):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.errors: list[str] = []
        self.bytes = self.spoken = 0

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.heard.append(frame.text)
            return  # nothing but what is asked for is spoken
        if isinstance(frame, TTSAudioRawFrame):
            self.bytes += len(frame.audio)
        elif isinstance(frame, TTSStoppedFrame):
            self.spoken += 1
        await self.push_frame(frame, direction)


async def through(service, frames: list, done) -> Watch:
    watch = Watch()
    worker = PipelineWorker(
        Pipeline([service, watch]), params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    )

    @worker.event_handler("on_pipeline_error")
    async def on_error(_, frame: ErrorFrame) -> None:
        watch.errors.append(str(frame.error))

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    for frame in frames:
        await worker.queue_frame(frame)
        await asyncio.sleep(0.005)
    try:
        async with asyncio.timeout(90):
            while not done(watch) and not watch.errors:
                await asyncio.sleep(0.02)
    except TimeoutError:
        watch.errors.append("timeout")
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 20)
    return watch


async def main() -> None:
    pcm = Path(SOUND).read_bytes() + bytes(2 * RATE)
    sound = [InputAudioRawFrame(pcm[start : start + 4800], RATE, 1) for start in range(0, len(pcm), 4800)]
    turn = [VADUserStartedSpeakingFrame(), *sound, VADUserStoppedSpeakingFrame()]
    files = OpenAISTTService(
        api_key="any", base_url=f"{ADDRESS}/v1", settings=OpenAISTTService.Settings(model="gpt-4o-transcribe")
    )
    live = OpenAIRealtimeSTTService(
        api_key="any",
        base_url=ADDRESS.replace("http", "ws") + "/v1/realtime",
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-4o-transcribe"),
    )
    voice = OpenAITTSService(
        api_key="any",
        base_url=f"{ADDRESS}/v1",
        settings=OpenAITTSService.Settings(voice="ash", model="gpt-4o-mini-tts"),
    )
    found = {}
    for name, service, frames, done in (
        ("files", files, turn, lambda watch: watch.heard),
        ("live", live, turn, lambda watch: watch.heard),
        ("speech", voice, [TTSSpeakFrame("Your latte is ready.")], lambda watch: watch.spoken),
    ):
        watch = await through(service, frames, done)
        found[name] = {"heard": watch.heard, "bytes": watch.bytes, "errors": watch.errors}
    print(json.dumps(found))


asyncio.run(main())
