"""`vivavoce serve` as a process: says where it is, refuses to be open to all, lets answers finish on SIGTERM."""

import asyncio
import json
import re
import signal
import sys

import websockets

SERVE = [sys.executable, "-m", "vivavoce.cli.main", "serve", "--model", "fake", "--port", "0"]


async def test_an_answer_may_finish_after_sigterm(tmp_path):
    process = await asyncio.create_subprocess_exec(*SERVE, "--data", str(tmp_path), stdout=-1, stderr=-1)
    assert process.stdout and process.stderr
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        found = re.search(r"http://(\S+) ", line)
        assert found, line
        async with websockets.connect(f"ws://{found[1]}/v1/realtime?model=gpt-realtime") as socket:
            text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "word " * 100}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": text}))
            await socket.send(json.dumps({"type": "response.create"}))
            kinds = []
            while "response.output_audio.delta" not in kinds:
                kinds.append(json.loads(await asyncio.wait_for(socket.recv(), 60))["type"])
            process.send_signal(signal.SIGTERM)
            while kinds[-1] != "response.done":
                event = json.loads(await asyncio.wait_for(socket.recv(), 60))
                kinds.append(event["type"])
            assert event["response"]["status"] == "completed"
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert b'"why": "completed"' in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()


async def test_other_addresses_need_a_key():
    process = await asyncio.create_subprocess_exec(*SERVE, "--host", "0.0.0.0", stdout=-1, stderr=-1)
    _, error = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 2 and b"--api-key" in error
