"""Whatever a client sends, it gets an `error` event and the session lives; limits and refusals are said clearly."""

import asyncio
import base64
import json
import random

import pytest
import websockets
from live_server import serving
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from vivavoce.server.settings import Settings

SERVER_EVENT = TypeAdapter(RealtimeServerEvent)

HI = {"type": "input_text", "text": "hi"}
NONSENSE = [
    "",
    "not json",
    "null",
    "[]",
    "{}",
    '{"type": 5}',
    '{"type": "no.such.event"}',
    '{"type": "session.update"}',
    '{"type": "session.update", "session": 5}',
    '{"type": "session.update", "session": {"type": "realtime", "colour": "red"}}',
    '{"type": "session.update", "session": {"audio": {"input": {"turn_detection": {"type": "psychic"}}}}}',
    '{"type": "session.update", "session": {"audio": {"output": {"voice": "nobody"}}}}',
    '{"type": "session.update", "session": {"tools": [{"type": "mcp", "server_label": "x"}]}}',
    '{"type": "input_audio_buffer.append"}',
    '{"type": "input_audio_buffer.append", "audio": "!!!"}',
    '{"type": "input_audio_buffer.append", "audio": "QUJDR"}',
    '{"type": "input_audio_buffer.commit"}',
    '{"type": "conversation.item.create", "item": {}}',
    '{"type": "conversation.item.create", "item": {"type": "message", "role": "king", "content": []}}',
    '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [IMAGE]}}'.replace(
        "IMAGE", '{"type": "input_image"}'
    ),
    '{"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "x", "output": ""}}',
    '{"type": "conversation.item.delete", "item_id": "nothing"}',
    '{"type": "conversation.item.retrieve", "item_id": "nothing"}',
    '{"type": "conversation.item.truncate", "item_id": "nothing", "content_index": 0, "audio_end_ms": 5}',
    '{"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": -5}',
    '{"type": "response.cancel"}',
    '{"type": "response.cancel", "response_id": "resp_nothing"}',
    '{"type": "response.create", "response": {"output_modalities": ["smell"]}}',
    '{"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "nothing"}]}}',
    '{"type": "output_audio_buffer.clear"}',
    '{"type": "session.update", "session": {"audio": {"output": {"speed": NaN}}}}',
    '{"type": "session.update", "session": {"truncation": {"type": "banana"}}}',
    '{"type": "session.update", "session": {"tracing": {"colour": "red"}}}',
    '{"type": "session.update", "session": {"tools": [{"name": "x", "parameters": {"default": "\\ud800"}}]}}',
    '{"type": "conversation.item.create", "item": {"type": "function_call", "name": "\\ud800", "arguments": "{}"}}',
    '{"type": "session.update", "session": {"tools": [{"name": "x", "parameters": '
    + '{"items": ' * 200
    + "{}"
    + "}" * 203,
    "[" * 100_000,
    b"\x00\xff\xfe binary",
    '{"type": "input_audio_buffer.append", "audio": "' + "A" * (16 * 1024 * 1024) + '"}',
]


async def next_error(socket):
    while True:
        event = json.loads(await asyncio.wait_for(socket.recv(), 60))
        SERVER_EVENT.validate_python(event)
        if event["type"] == "error":
            return event["error"]


def connect(address, **more):
    return websockets.connect(address.replace("http", "ws") + "/v1/realtime?model=gpt-realtime", max_size=None, **more)


async def test_every_nonsense_is_answered_and_the_session_lives(address):
    async with connect(address) as socket:
        for nonsense in NONSENSE:
            await socket.send(nonsense)
            error = await next_error(socket)
            assert error["message"] and error["code"], nonsense[:80]
        await socket.send('{"type": "conversation.item.retrieve", "item_id": "still here", "event_id": "mine"}')
        assert (await next_error(socket))["event_id"] == "mine"


async def test_a_thousand_random_events(address):
    dice = random.Random(7)
    sound = base64.b64encode(bytes(960)).decode()
    kinds = [kind for kind in map(json.loads, NONSENSE[5:30])] + [
        {"type": "input_audio_buffer.append", "audio": sound},
        {"type": "input_audio_buffer.clear"},
        {"type": "input_audio_buffer.commit"},
        {"type": "response.create"},
        {"type": "response.cancel"},
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [HI]}},
    ]  # fmt: skip

    def value(depth=0):
        leaf = [None, True, -1, 3.5, "", "auto", "x" * 40, sound]
        if depth > 2 or dice.random() < 0.6:
            return dice.choice(leaf)
        if dice.random() < 0.5:
            return [value(depth + 1) for _ in range(dice.randrange(3))]
        return {dice.choice(["type", "id", "role", "audio", "session", "text"]): value(depth + 1) for _ in range(2)}

    async with connect(address) as socket:
        for number in range(1000):
            event = dict(dice.choice(kinds))
            if dice.random() < 0.5:
                event[dice.choice([*event, "session", "item", "response", "event_id"])] = value()
            await socket.send(json.dumps(event))
            if number % 50 == 49:
                marker = f"marker {number}"
                await socket.send(json.dumps({"type": "no.such.event", "event_id": marker}))
                while (await next_error(socket))["event_id"] != marker:
                    pass


async def test_a_caller_beyond_capacity_is_told_at_once():
    with serving(rows=1) as address:
        async with connect(address), connect(address) as second:
            assert (await next_error(second))["code"] == "capacity"
            with pytest.raises(websockets.ConnectionClosed):
                await second.recv()


async def test_keys_secrets_origins_and_models():
    with serving(Settings(port=0, api_keys=("right",))) as address:
        async with connect(address) as nobody:
            assert (await next_error(nobody))["code"] == "invalid_api_key"
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="right", max_retries=0)
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "instructions": "be brief", "model": "gpt-realtime"}
        )
        assert secret.value.startswith("ek_") and secret.session.instructions == "be brief"
        protocols = ["realtime", f"openai-insecure-api-key.{secret.value}"]
        async with connect(address, subprotocols=protocols) as browser:
            assert browser.subprotocol == "realtime"
            created = json.loads(await browser.recv())
            assert created["session"]["instructions"] == "be brief"
        header = {"Authorization": "Bearer right"}
        async with connect(address, additional_headers=header, origin="https://elsewhere.example") as stranger:
            assert (await next_error(stranger))["code"] == "forbidden_origin"
        url = address.replace("http", "ws") + "/v1/realtime?model=gpt-99"
        async with websockets.connect(url, additional_headers=header) as lost:
            assert "vivavoce-mini" in (await next_error(lost))["message"]


async def test_sessions_end_when_they_are_old_or_idle():
    with serving(Settings(port=0, session_seconds=0.3)) as address:
        async with connect(address) as socket:
            assert (await next_error(socket))["code"] == "session_expired"
    with serving(Settings(port=0, idle_seconds=0.3)) as address:
        async with connect(address) as socket:
            assert (await next_error(socket))["code"] == "session_idle"


async def test_too_many_events_are_refused_one_by_one():
    with serving(Settings(port=0, events_per_minute=5)) as address:
        async with connect(address) as socket:
            for _ in range(7):
                await socket.send('{"type": "input_audio_buffer.clear"}')
            assert (await next_error(socket))["code"] == "rate_limit_exceeded"


async def test_what_is_not_supported_says_so(address):
    async with websockets.connect(address.replace("http", "ws") + "/v1/live/sessions") as socket:
        assert (await next_error(socket))["code"] == "not_supported"
