"""LiveKit's recognition (by files and live) and speech. ``speech.py ADDRESS ORDER.pcm``; prints JSON."""

import asyncio
import json
import sys
from pathlib import Path

from livekit import rtc
from livekit.agents import stt
from livekit.plugins import openai

ADDRESS, SOUND = sys.argv[1:3]
RATE = 24_000


def frames(pcm: bytes) -> list[rtc.AudioFrame]:
    pieces = [pcm[start : start + 4800] for start in range(0, len(pcm), 4800)]
    return [rtc.AudioFrame(piece, RATE, 1, len(piece) // 2) for piece in pieces]


async def main() -> None:
    from livekit.agents.utils import http_context

    pcm = Path(SOUND).read_bytes()
    where = {"base_url": f"{ADDRESS}/v1", "api_key": "any"}
    found: dict = {}
    async with http_context.open():
        for model in ("whisper-1", "gpt-4o-mini-transcribe"):
            recognizer = openai.STT(model=model, use_realtime=False, **where)
            event = await recognizer.recognize(frames(pcm))
            found[model] = event.alternatives[0].text
        live = openai.STT(model="gpt-4o-transcribe", use_realtime=True, **where)
        async with live.stream() as stream:
            for frame in frames(pcm + bytes(2 * RATE)):
                stream.push_frame(frame)
            async with asyncio.timeout(90):
                async for event in stream:
                    if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                        found["live"] = event.alternatives[0].text
                        break
        for model in ("tts-1", "gpt-4o-mini-tts"):
            speaker = openai.TTS(model=model, voice="ash", **where)
            seconds = 0.0
            async for chunk in speaker.synthesize("Your latte is ready."):
                seconds += chunk.frame.duration
            found[model] = seconds
    print(json.dumps(found))


asyncio.run(main())
