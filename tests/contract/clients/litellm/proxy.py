"""The proxy of LiteLLM in front of us: chat, speech, transcription and a live turn.

``proxy.py ADDRESS ORDER.pcm``; what happened is printed as JSON.
"""

import asyncio
import base64
import io
import json
import os
import socket
import sys
import tempfile
import wave
from pathlib import Path

import httpx
from openai import AsyncOpenAI

ADDRESS, SOUND = sys.argv[1:3]
KEY = "sk-any"
TOOL = {
    "name": "order_drink",
    "description": "Order a drink for the customer.",
    "parameters": {
        "type": "object",
        "properties": {
            "drink": {"type": "string", "description": "The kind of coffee drink."},
            "size": {"type": "string", "description": "Size of the drink."},
        },
        "required": ["drink"],
    },
}
MODELS = {
    "gpt-audio": {},
    "tts-1": {"mode": "audio_speech"},
    "whisper-1": {"mode": "audio_transcription"},
    "gpt-realtime": {},
}


async def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listed = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": f"{ADDRESS}/v1", "api_key": "any"},
            "model_info": info,
        }
        for name, info in MODELS.items()
    ]
    found: dict = {}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps({"model_list": listed}))  # JSON is YAML
        environment = os.environ | {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "CONFIG_FILE_PATH": str(config),
            "LITELLM_MASTER_KEY": KEY,
        }
        proxy = Path(sys.executable).parent / "uvicorn"
        command = [proxy, "litellm.proxy.proxy_server:app", "--port", str(port)]
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=sys.stderr)
        try:
            base = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(300), httpx.AsyncClient() as http:
                while process.returncode is None:
                    try:
                        if (await http.get(f"{base}/health/liveliness")).is_success:
                            break
                    except httpx.TransportError:
                        await asyncio.sleep(0.2)
            client = AsyncOpenAI(base_url=f"{base}/v1", api_key=KEY, max_retries=0)
            async with asyncio.timeout(120):
                await use(client, found)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    print(json.dumps(found))


async def use(client: AsyncOpenAI, found: dict) -> None:
    pcm = Path(SOUND).read_bytes()
    memory = io.BytesIO()
    with wave.open(memory, "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(pcm)
    heard = await client.audio.transcriptions.create(model="whisper-1", file=("order.wav", memory.getvalue()))
    found["heard"] = heard.text
    speech = await client.audio.speech.create(
        model="tts-1", voice="alloy", input="Your latte is ready.", response_format="pcm"
    )
    found["bytes"] = len(speech.content)
    tools = [{"type": "function", "function": TOOL}]
    messages: list = [{"role": "user", "content": heard.text}]
    answer = (
        (await client.chat.completions.create(model="gpt-audio", messages=messages, tools=tools)).choices[0].message
    )
    found["calls"] = [json.loads(call.function.arguments) for call in answer.tool_calls or []]
    for call in answer.tool_calls or []:
        messages += [
            answer.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "ready at nine"},
        ]
    answer = (
        (await client.chat.completions.create(model="gpt-audio", messages=messages, tools=tools)).choices[0].message
    )
    found["said"] = answer.content
    async with client.realtime.connect(model="gpt-realtime") as live:
        await live.session.update(session={"type": "realtime", "tools": [{"type": "function", **TOOL}]})
        for start in range(0, len(pcm) + 48_000, 4800):
            piece = pcm[start : start + 4800] or bytes(4800)
            await live.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        done = 0
        found["live"] = {"calls": [], "said": [], "errors": []}
        async for event in live:
            if event.type == "error":
                found["live"]["errors"].append(event.error.message)
                break
            if event.type == "response.function_call_arguments.done":
                found["live"]["calls"].append(json.loads(event.arguments))
                result = {"type": "function_call_output", "call_id": event.call_id, "output": "ready at nine"}
                await live.conversation.item.create(item=result)
            elif event.type == "response.output_audio_transcript.done":
                found["live"]["said"].append(event.transcript)
            elif event.type == "response.done":
                done += 1
                if done == 2:
                    break
                await live.response.create()


asyncio.run(main())
