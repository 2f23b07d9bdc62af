"""wyoming-openai in front of us, asked as Home Assistant asks it. ``satellite.py ADDRESS ORDER.pcm``; prints JSON."""

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeVoice

ADDRESS, SOUND = sys.argv[1:3]
RATE = 24_000


async def asked(port: int, events: list, last: type) -> list:
    """The answers to some events, up to one of this type or an error."""
    async with AsyncTcpClient("127.0.0.1", port) as client, asyncio.timeout(90):
        for event in events:
            await client.write_event(event.event())
        answers = []
        while (event := await client.read_event()) is not None:
            answers.append(event)
            if last.is_type(event.type) or Error.is_type(event.type):
                break
    return answers


async def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"{ADDRESS}/v1"
    command = [
        sys.executable,
        "-m",
        "wyoming_openai",
        "--uri",
        f"tcp://127.0.0.1:{port}",
        "--stt-openai-url",
        url,
        "--tts-openai-url",
        url,
    ]
    command += ["--stt-openai-key", "any", "--tts-openai-key", "any", "--stt-models", "whisper-1"]
    command += ["--stt-streaming-models", "gpt-4o-transcribe", "--stt-realtime-models", "gpt-live-transcribe"]
    command += [
        "--tts-models",
        "tts-1",
        "--tts-streaming-models",
        "gpt-4o-mini-tts",
        "--tts-realtime-models",
        "gpt-realtime-2.1-mini",
    ]
    log = Path(tempfile.mkdtemp()) / "log"
    command += ["--log-file", str(log)]
    process = await asyncio.create_subprocess_exec(*command, stdout=sys.stderr)
    found: dict = {"heard": {}, "bytes": {}, "errors": []}
    try:
        async with asyncio.timeout(120):
            while True:
                try:
                    info = Info.from_event((await asked(port, [Describe()], Info))[-1])
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        found["voices"] = sorted({voice.name for program in info.tts for voice in program.voices})
        pcm = Path(SOUND).read_bytes()
        sound = [AudioChunk(RATE, 2, 1, pcm[start : start + 4800]) for start in range(0, len(pcm), 4800)]
        for model in [model.name for program in info.asr for model in program.models]:
            said = [Transcribe(name=model, language="en"), AudioStart(RATE, 2, 1), *sound, AudioStop()]
            answers = await asked(port, said, Transcript)
            found["heard"][model] = [Transcript.from_event(e).text for e in answers if Transcript.is_type(e.type)]
            found["errors"] += [Error.from_event(e).text for e in answers if Error.is_type(e.type)]
        for voice in found["voices"]:
            if voice.endswith("alloy") or "alloy" in voice:
                answers = await asked(port, [Synthesize("Your latte is ready.", SynthesizeVoice(voice))], AudioStop)
                chunks = [AudioChunk.from_event(e) for e in answers if AudioChunk.is_type(e.type)]
                found["bytes"][voice] = sum(len(chunk.audio) for chunk in chunks)
                found["errors"] += [Error.from_event(e).text for e in answers if Error.is_type(e.type)]
    finally:
        process.terminate()
        await process.wait()
    found["differs"] = [line for line in log.read_text().splitlines() if "differs from the request" in line]
    shutil.rmtree(log.parent)
    print(json.dumps(found))


asyncio.run(main())
