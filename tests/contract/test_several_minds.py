"""Several minds behind one server: a client's model says which of them thinks, and others are refused with the list."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from vivavoce.assistant.minds import Minds
from vivavoce.assistant.model import load
from vivavoce.core.errors import ConfigError
from vivavoce.core.talk import Say, Thought
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model
from vivavoce.runtime.model import Context
from vivavoce.server.app import create_app
from vivavoce.server.settings import Settings


class Says:
    """A mind that says its name."""

    tools = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def respond(self, context: Context) -> Iterator[Thought]:
        yield Say(f"I am {self.name}.")


@pytest.fixture
async def http() -> Iterator[httpx.AsyncClient]:
    minds = Minds({"first": Says("first"), "second": Says("second")})
    model = replace(fake_model(), thinking=minds, minds=minds.names)
    app = create_app(LiveEngine(model, rows=1), Settings())
    transport = httpx.ASGITransport(app)
    client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765/v1", timeout=30)
    async with client as http, app.router.lifespan_context(app):
        yield http


async def chat(http: httpx.AsyncClient, model: str) -> httpx.Response:
    messages = [{"role": "user", "content": "Who are you?"}]
    return await http.post("/chat/completions", json={"model": model, "messages": messages})


@pytest.mark.parametrize(
    ("model", "says"), [("second", "second"), ("first", "first"), ("vivavoce-mini", "first"), ("gpt-audio", "first")]
)
async def test_the_model_of_a_request_says_who_thinks(http: httpx.AsyncClient, model: str, says: str) -> None:
    answer = (await chat(http, model)).json()
    assert answer["choices"][0]["message"]["content"] == f"I am {says}." and answer["model"] == model
    answer = (await http.post("/responses", json={"model": model, "input": "Who are you?"})).json()
    assert answer["output"][0]["content"][0]["text"] == f"I am {says}."


async def test_who_is_not_there_is_refused_with_the_list(http: httpx.AsyncClient) -> None:
    refused = await chat(http, "third")
    assert refused.status_code == 404 and "first, second" in refused.json()["error"]["message"]
    assert {"first", "second"} <= {each["id"] for each in (await http.get("/models")).json()["data"]}
    with pytest.raises(ConfigError, match="no mind 'third'; loaded are first"):
        Minds({"first": Says("first")}).respond(Context(entries=(), mind="third"))


async def test_a_live_session_thinks_with_its_model() -> None:
    from starlette.testclient import TestClient

    minds = Minds({"first": Says("first"), "second": Says("second")})
    model = replace(fake_model(), thinking=minds, minds=minds.names)
    app = create_app(LiveEngine(model, rows=1), Settings())
    with (
        TestClient(app, base_url="http://127.0.0.1:8765") as web,
        web.websocket_connect("/v1/realtime?model=second") as socket,
    ):
        assert socket.receive_json()["session"]["model"] == "second"
        socket.send_json({"type": "response.create", "response": {"output_modalities": ["text"]}})
        while (event := socket.receive_json())["type"] != "response.output_text.done":
            assert event["type"] != "error", event
        assert event["text"] == "I am second."


def test_a_mind_of_ones_own_is_an_object() -> None:
    model = load(mind=[Says("parrot"), "mini"])
    assert list(model.minds) == ["parrot", "mini"] and model.tools == ()
    assert model.answer("good evening", speak=False).reply == "I am parrot."
