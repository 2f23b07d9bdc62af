"""`tool_choice` of type `allowed_tools`: of the declared tools only those may be called, or one of them has to be."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from live_server import talking
from openai import AsyncOpenAI, OpenAI

from vivavoce.core.talk import Call, Say
from vivavoce.runtime.model import Context

NAMES = ("light", "heat", "door")
FLAT: list[Any] = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in NAMES]
NESTED: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in NAMES
]


def allowed(mode: str, *names: str) -> Any:
    """As responses and realtime write it."""
    return {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name} for name in names]}


def allowed_in_chat(mode: str, *names: str) -> Any:
    """As chat writes it."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def answer(context: Context) -> Iterator[Any]:
    """Calls the last tool it may call where it has to, else says which it may."""
    names = [tool.name for tool in context.tools]
    if context.tool_choice == "required":
        yield Call(names[-1], "{}")
    else:
        yield Say(f"{context.tool_choice}: {' '.join(names)}")


def test_responses_call_only_what_is_allowed(asker: OpenAI) -> None:
    choice = allowed("auto", "door", "light")
    some = asker.responses.create(model="gpt-audio", input="x", tools=FLAT, tool_choice=choice)
    assert some.output_text == "auto: light door" and len(some.tools) == 3
    assert some.tool_choice.model_dump() == choice
    must = asker.responses.create(model="gpt-audio", input="x", tools=FLAT, tool_choice=allowed("required", "heat"))
    assert [item.name for item in must.output if item.type == "function_call"] == ["heat"]


def test_chat_calls_only_what_is_allowed(asker: OpenAI) -> None:
    asked: Any = {"model": "gpt-audio", "messages": [{"role": "user", "content": "x"}], "tools": NESTED}
    some = asker.chat.completions.create(**asked, tool_choice=allowed_in_chat("auto", "door", "light"))
    assert some.choices[0].message.content == "auto: light door"
    must = asker.chat.completions.create(**asked, tool_choice=allowed_in_chat("required", "heat"))
    assert [call.function.name for call in must.choices[0].message.tool_calls or []] == ["heat"]


async def test_sessions_and_their_responses_call_only_what_is_allowed(answering: str) -> None:
    client = AsyncOpenAI(base_url=f"{answering}/v1", api_key="any", max_retries=0)
    choice = allowed("auto", "door", "light")
    async with talking(client, output_modalities=["text"], tools=FLAT, tool_choice=choice) as live:
        assert live.seen[-1].session.tool_choice == choice
        assert len(live.seen[-1].session.tools) == 3

        async def asked(**response: Any) -> Any:
            await live.connection.response.create(response=response)
            return (await live.until("response.done")).response.output[0]

        assert (await asked()).content[0].text == "auto: light door"
        assert (await asked(tool_choice="auto")).content[0].text == "auto: light heat door"
        assert (await asked(tool_choice=allowed("required", "heat"))).name == "heat"
        assert (await asked(tools=FLAT[::-1])).content[0].text == "auto: door light"
        await live.connection.response.create(response={"tools": FLAT[:1]})  # without the door that is allowed
        wrong = (await live.until("error")).error
        assert wrong.param == "response.tool_choice" and "'door', which is not among the tools" in wrong.message
        await live.connection.session.update(session={"type": "realtime", "tool_choice": allowed("auto", "window")})
        assert (await live.until("error")).error.param == "session.tool_choice"


@pytest.mark.parametrize(
    ("choice", "param", "message"),
    [
        (("auto", "window"), "tool_choice", "'window', which is not among the tools"),
        (("auto",), "tool_choice{}.tools", "at least 1 item"),
        (("never", "door"), "tool_choice{}.mode", "'auto' or 'required'"),
    ],
)
def test_what_cannot_be_allowed_is_refused(answering: str, choice: Any, param: str, message: str) -> None:
    flat = {"model": "gpt-audio", "input": "x", "tools": FLAT, "tool_choice": allowed(*choice)}
    chat = {"model": "gpt-audio", "messages": [{"role": "user", "content": "x"}], "tools": NESTED}
    for path, body, inside in (
        ("responses", flat, ""),
        ("chat/completions", chat | {"tool_choice": allowed_in_chat(*choice)}, ".allowed_tools"),
    ):
        found = httpx.post(f"{answering}/v1/{path}", json=body)
        error = found.json()["error"]
        assert (found.status_code, error["param"]) == (400, param.format(inside))
        assert message in error["message"]


def test_a_choice_of_another_type_is_refused_with_those_that_there_are(answering: str) -> None:
    for choice in ({"type": "custom", "name": "x"}, {"name": "door"}):
        for path, more in (("responses", {"input": "x"}), ("chat/completions", {"messages": [{"role": "user"}]})):
            body = {"model": "gpt-audio", "tool_choice": choice, **more}
            found = httpx.post(f"{answering}/v1/{path}", json=body)
            assert found.status_code == 400
            error = found.json()["error"]
            assert error["param"].startswith("tool_choice") and ("allowed_tools" in error["message"]) == (
                "type" in choice
            )
