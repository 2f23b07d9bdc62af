"""`/v1/responses` as the stock client and the agents SDK use it."""

import base64
import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from openai import BadRequestError, NotFoundError, OpenAI

from vivavoce.core.talk import Call, Say
from vivavoce.runtime.fake import utter
from vivavoce.runtime.model import Context

CLIENTS = Path(os.environ.get("VIVAVOCE_CLIENTS", Path(__file__).parents[2] / ".venv/clients"))
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": True,
}


def answer(context: Context) -> Iterator[Any]:
    """Calls the tool where one is declared, tells its result, and otherwise how many turns it knows."""
    last = context.entries[-1]
    said = " / ".join(f"{e.role}: {e.text}" for e in context.entries if e.kind == "message")
    if last.kind == "result":
        yield Say(f"It is {last.output}.")
    elif context.tools and context.tool_choice != "none":
        yield Say("Let me see. ")
        yield Call("weather", json.dumps({"city": "Paris"}))
    else:
        yield Say(f"[{context.instructions}] ")
        yield Say(said)


def test_a_conversation_goes_on_by_the_id_of_its_last_response(asker: OpenAI) -> None:
    first = asker.responses.create(model="gpt-audio", input="one", instructions="Be brief.")
    assert first.output_text == "[Be brief.] user: one" and first.status == "completed"
    assert first.usage is not None and first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
    second = asker.responses.create(model="gpt-audio", input="two", previous_response_id=first.id)
    assert second.output_text == "[] user: one / assistant: [Be brief.] user: one / user: two"
    assert asker.responses.retrieve(first.id).output_text == first.output_text
    asker.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        asker.responses.retrieve(first.id)
    with pytest.raises(BadRequestError, match="send the whole conversation"):
        asker.responses.create(model="gpt-audio", input="x", previous_response_id=first.id)
    unkept = asker.responses.create(model="gpt-audio", input="x", store=False)
    with pytest.raises(NotFoundError):
        asker.responses.retrieve(unkept.id)


def test_every_event_of_a_stream_comes_in_order_and_the_last_has_all(asker: OpenAI) -> None:
    events = list(asker.responses.create(model="gpt-audio", input="hi", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "in_progress", "output_item.added", "content_part.added"]
    assert kinds[-4:] == ["output_text.done", "content_part.done", "output_item.done", "completed"]
    assert set(kinds[4:-4]) == {"output_text.delta"}
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text == "[] user: hi"


def test_functions_are_called_and_their_results_told(asker: OpenAI) -> None:
    asked = [{"role": "user", "content": "rain?"}]
    with asker.responses.stream(model="gpt-audio", input=asked, tools=[TOOL]) as stream:
        kinds = [event.type for event in stream]
        first = stream.get_final_response()
    assert "response.function_call_arguments.done" in kinds
    message, call = first.output
    assert message.type == "message" and first.output_text == "Let me see. "
    assert call.type == "function_call" and (call.name, call.arguments) == ("weather", '{"city": "Paris"}')
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "fine"}
    more = [*asked, *(item.model_dump() for item in first.output), result]
    assert asker.responses.create(model="gpt-audio", input=more, tools=[TOOL]).output_text == "It is fine."
    by_id = asker.responses.create(
        model="gpt-audio", input=[result], previous_response_id=first.id, tools=[TOOL], stream=True
    )
    assert list(by_id)[-1].response.output_text == "It is fine."


def test_sound_is_heard(asker: OpenAI) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.concatenate((utter("good day"), np.zeros(4800))), 24_000, format="WAV")
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(file.getvalue()).decode(), "format": "wav"}}
    content = [{"type": "input_text", "text": "listen:"}, part]
    given: Any = [{"role": "developer", "content": "Hush."}, {"role": "user", "content": content}]
    assert "good day" in asker.responses.create(model="gpt-audio", input=given).output_text


NO_SOUND = {"data": "?", "format": "wav"}
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no input": ({}, "input", "input"),
    "a picture": (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        "not supported by this server; send text or audio",
        "input[0].content[0]",
    ),
    "no sound": (
        {"input": [{"role": "user", "content": [{"type": "input_audio", "input_audio": NO_SOUND}]}]},
        "is not base64",
        "input[0].content[0].input_audio.data",
    ),
    "another tool": ({"input": "x", "tools": [{"type": "web_search"}]}, "type 'web_search' is not", "tools[0]"),
    "json": ({"input": "x", "text": {"format": {"type": "json_object"}}}, "force it with tool_choice", "text.format"),
    "a choice without tools": ({"input": "x", "tool_choice": "required"}, "no tool is declared", "tool_choice"),
    "in the background": ({"input": "x", "background": True}, "'background' is not supported", "background"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_refused_in_words(case: str, answering: str) -> None:
    body, message, param = BAD[case]
    found = httpx.post(f"{answering}/v1/responses", json={"model": "gpt-audio", **body})
    error = found.json()["error"]
    assert found.status_code == 400 and message in error["message"] and error["param"] == param


def test_a_model_that_is_not_here(asker: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="does not exist here"):
        asker.responses.create(model="gpt-99", input="x")


@pytest.mark.slow
def test_the_agents_sdk_runs_on_its_default_path(answering: str) -> None:
    if not (CLIENTS / "agents.made").exists():
        pytest.skip("the agents SDK is not built; run tests/contract/clients/build.py")
    script = Path(__file__).parent / "clients/agents/responses.py"
    command = [str(CLIENTS / "agents/bin/python"), str(script), answering]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    assert said == ["It is fine in Paris.", "It is fine in Paris.", "Let me see. It is fine in Paris."]
