"""A mind behind an address: our own server as the endpoint, and endpoints that are broken in every way."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from live_server import serving, talking
from openai import APIError, AsyncOpenAI, InternalServerError

from vivavoce.assistant.conversation import Conversation
from vivavoce.assistant.endpoint import SPOKEN, EndpointMind, messages_of
from vivavoce.assistant.remote import endpoint_of
from vivavoce.core.errors import ConfigError, MindError
from vivavoce.core.talk import Call, Entry, Say, Thought, Tool, Trouble
from vivavoce.runtime.fake import fake_model
from vivavoce.runtime.model import Abilities, Context

WEATHER = Tool(name="weather", parameters={"type": "object", "properties": {"city": {"type": "string"}}})


def said(thoughts: list[Thought]) -> str:
    return "".join(thought.text for thought in thoughts if isinstance(thought, Say))


def asked(text: str, **more: Any) -> Context:
    return Context(entries=(Entry(id="u", text=text),), **more)


class Endpoint(BaseHTTPRequestHandler):
    """Answers each request by the next of ``script``: an event stream's lines, a status, JSON, or both."""

    script: list[Any]
    bodies: list[dict[str, Any]]
    keys: list[str | None]
    closed: threading.Event

    def do_GET(self) -> None:
        self._json(200, {"data": [{"id": "only"}]})

    def do_POST(self) -> None:
        kind = type(self)
        kind.keys.append(self.headers.get("Authorization"))
        kind.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        step = kind.script.pop(0)
        if isinstance(step, int):
            return self._json(step, {"error": {"message": "not now"}})
        if isinstance(step, dict | tuple):
            return self._json(*step) if isinstance(step, tuple) else self._json(200, step)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        try:
            for line in step:
                self.wfile.write(f"data: {line}\n\n".encode())
                self.wfile.flush()
        except OSError:
            kind.closed.set()

    def _json(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Callable[..., EndpointMind]]:
    Endpoint.script, Endpoint.bodies, Endpoint.keys, Endpoint.closed = [], [], [], threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def mind(*script: Any) -> EndpointMind:
        Endpoint.script = list(script)
        return EndpointMind(endpoint_of(f"http://127.0.0.1:{server.server_port}/v1#small", patience_seconds=5.0))

    yield mind
    server.shutdown()


def deltas(*deltas: dict[str, Any]) -> list[str]:
    return [json.dumps({"choices": [{"delta": delta}]}) for delta in deltas] + ["[DONE]"]


def text(*pieces: str) -> list[str]:
    return deltas(*({"content": piece} for piece in pieces))


def test_text_comes_as_it_is_written_word_by_word(endpoint: Callable[..., EndpointMind]) -> None:
    mind = endpoint(text("\n", "The capi", "tal of France ", "is Paris", "."))
    question = asked("what is the capital of france", instructions="Be kind.")
    thoughts = [thought for thought in mind.respond(question) if thought != Say("")]
    assert thoughts == [Say("The "), Say("capital of France "), Say("is "), Say("Paris.")]
    body = Endpoint.bodies[0]
    assert body["model"] == "small" and body["stream"] is True and "tools" not in body
    assert body["messages"] == [
        {"role": "system", "content": f"Be kind.\n\n{SPOKEN}"},
        {"role": "user", "content": "what is the capital of france"},
    ]


def test_what_a_model_thinks_to_itself_is_not_said(endpoint: Callable[..., EndpointMind]) -> None:
    mind = endpoint(text("<th", "ink>let me ", "see</thi", "nk>\n\nFour", ". <3"))
    assert said(list(mind.respond(asked("two and two")))) == "Four. <3"


def test_calls_are_put_together_and_offered_tools_are_sent(endpoint: Callable[..., EndpointMind]) -> None:
    first = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": '{"ci'}}
    second = {"index": 0, "function": {"arguments": 'ty": "Bern"}'}}
    mind = endpoint(deltas({"content": "Let me look."}, {"tool_calls": [first]}, {"tool_calls": [second]}))
    thoughts = list(mind.respond(asked("weather in bern", tools=(WEATHER,), tool_choice="weather")))
    assert said(thoughts) == "Let me look." and Call("weather", '{"city": "Bern"}') in thoughts
    assert Endpoint.bodies[0]["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert Endpoint.bodies[0]["tools"][0]["function"]["parameters"] == WEATHER.parameters


def piece(index: int | None, id: str, name: str, arguments: str) -> dict[str, Any]:
    where = {} if index is None else {"index": index}
    return where | ({"id": id} if id else {}) | {"function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize("places", [(0, 1), (0, 0), (None, None)], ids=["numbered", "all alike", "not numbered"])
def test_several_calls_in_one_answer_are_told_apart(endpoint: Callable[..., EndpointMind], places: Any) -> None:
    one, two = places
    first, rest = piece(one, "a", "weather", '{"city":'), piece(one, "", "", ' "Bern"}')
    other = piece(two, "b", "weather", '{"city": "Basel"}')
    mind = endpoint(deltas({"tool_calls": [first]}, {"tool_calls": [rest]}, {"tool_calls": [other]}))
    calls = [thought for thought in mind.respond(asked("both", tools=(WEATHER,))) if isinstance(thought, Call)]
    assert calls == [Call("weather", '{"city": "Bern"}'), Call("weather", '{"city": "Basel"}')]


async def test_several_calls_are_passed_on_and_all_their_results_told(endpoint: Callable[..., EndpointMind]) -> None:
    both = [
        piece(n, id, "weather", json.dumps({"city": city})) for n, id, city in ((0, "a", "Bern"), (1, "b", "Basel"))
    ]
    mind = endpoint(deltas({"tool_calls": both}), text("Rain in both."))
    tool = {"type": "function", "name": "weather", "parameters": WEATHER.parameters}
    with serving(model=model_with(mind)) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with talking(client, tools=[tool]) as live:
            ask = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "both"}]}
            await live.connection.conversation.item.create(item=ask)
            await live.connection.response.create()
            made = (await live.until("response.done")).response.output
            assert [json.loads(call.arguments)["city"] for call in made] == ["Bern", "Basel"]
            for call in made:
                result = {"type": "function_call_output", "call_id": call.call_id, "output": f"rain {call.arguments}"}
                await live.connection.conversation.item.create(item=result)
            await live.connection.response.create()
            done = await live.until("response.done")
            assert done.response.output[0].content[0].transcript == "Rain in both."
    _, _, calls, *results = Endpoint.bodies[1]["messages"]
    assert [call["id"] for call in calls["tool_calls"]] == [result["tool_call_id"] for result in results]
    assert ["Bern" in results[0]["content"], "Basel" in results[1]["content"]] == [True, True]


def test_results_stand_behind_their_calls_and_only_what_was_heard_is_told() -> None:
    entries = (
        Entry(id="1", text="weather in bern"),
        Entry(id="2", kind="call", role="assistant", call="c1", name="weather", arguments="{}"),
        Entry(id="3", role="assistant", text="One mom", status="incomplete"),
        Entry(id="4", text="and in basel"),
        Entry(id="5", kind="result", call="c1", output="rain"),
        Entry(id="6", role="assistant", text=""),
        Entry(id="7", kind="call", role="assistant", call="c2", name="weather", arguments="{}"),
    )
    told, *rest = messages_of(Context(entries=entries))
    call = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
    assert told == {"role": "system", "content": SPOKEN}
    assert rest == [
        {"role": "user", "content": "weather in bern"},
        {"role": "assistant", "content": "One mom [interrupted]", "tool_calls": [{"id": "c1", **call}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        {"role": "user", "content": "and in basel"},
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c2", **call}]},
        {"role": "tool", "tool_call_id": "c2", "content": "(no result yet)"},
    ]


WRONG = {
    "refused": ([401], "refused \\(401: not now\\); set VIVAVOCE_MIND_KEY"),
    "unknown model": ([404], "refused \\(404"),
    "still busy": ([503, 503], "refused \\(503"),
    "broken off": ([text("Well, I ")[:1]], "broke off in the middle"),
    "no JSON": ([["surprise"]], "no chat completion"),
    "an error inside": ([[json.dumps({"error": "out of memory"})]], "out of memory"),
    "nothing": ([text()], "empty answer"),
    "unknown tool": ([deltas({"tool_calls": [{"function": {"name": "x", "arguments": "{}"}}]})], "not offered"),
    "bad arguments": ([deltas({"tool_calls": [{"function": {"name": "weather", "arguments": "{"}}]})], "no JSON"),
    "a list": ([deltas({"tool_calls": [{"function": {"name": "weather", "arguments": "[]"}}]})], "no object"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_goes_wrong_is_apologised_for_and_told(endpoint: Callable[..., EndpointMind], fault: str) -> None:
    script, why = WRONG[fault]
    *before, trouble = endpoint(*script).respond(asked("hello", tools=(WEATHER,)))
    assert said(before).endswith("Sorry, I cannot think of an answer just now.")
    assert isinstance(trouble, Trouble)
    with pytest.raises(MindError, match=why):
        raise MindError(trouble.reason)


def test_an_answer_that_says_that_it_ends_or_comes_in_one_piece_is_whole(endpoint: Callable[..., EndpointMind]) -> None:
    last = json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    assert said(list(endpoint([*text("It is Paris.")[:1], last]).respond(asked("hello")))) == "It is Paris."
    whole = {"choices": [{"message": {"role": "assistant", "content": "It is Paris."}}]}
    assert said(list(endpoint(whole).respond(asked("hello")))) == "It is Paris."


@pytest.mark.parametrize("inside", [False, True], ids=["refused", "broke off"])
def test_a_key_that_an_endpoint_repeats_is_not_told(
    endpoint: Callable[..., EndpointMind], monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    monkeypatch.setenv("VIVAVOCE_MIND_KEY", "sk-geheim")
    error = {"error": {"message": "Incorrect API key provided: sk-geheim."}}
    *_, trouble = endpoint([json.dumps(error)] if inside else (401, error)).respond(asked("hello"))
    assert isinstance(trouble, Trouble) and "Incorrect API key provided: …." in trouble.reason


def test_what_cannot_be_sent_as_a_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MIND_KEY", "sk-geheim\nnext")
    with pytest.raises(ConfigError, match="VIVAVOCE_MIND_KEY holds no key") as refused:
        endpoint_of("http://127.0.0.1:9/v1#m")
    assert "geheim" not in str(refused.value)
    monkeypatch.setenv("VIVAVOCE_MIND_KEY", "sk-right\n")  # as a file that was read into it ends
    assert endpoint_of("http://127.0.0.1:9/v1#m").key == "sk-right"
    with pytest.raises(ConfigError, match="a key goes into VIVAVOCE_MIND_KEY") as refused:
        endpoint_of("http://user:geheim@127.0.0.1:9/v1#m")
    assert "geheim" not in str(refused.value)


def test_a_busy_endpoint_is_asked_once_more(endpoint: Callable[..., EndpointMind]) -> None:
    assert said(list(endpoint(503, text("Here.")).respond(asked("hello")))) == "Here."


def test_an_endpoint_that_is_not_there_is_a_sentence() -> None:
    mind = EndpointMind(endpoint_of("http://127.0.0.1:9/v1#x", patience_seconds=1.0))
    *_, trouble = mind.respond(asked("hello"))
    assert isinstance(trouble, Trouble) and "is not reached" in trouble.reason


def test_an_endpoint_that_is_too_slow_is_a_sentence() -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing
    with silent:
        mind = EndpointMind(endpoint_of(f"http://127.0.0.1:{silent.getsockname()[1]}/v1#x", patience_seconds=0.2))
        *before, trouble = mind.respond(asked("hello"))
    assert said(before) == "Sorry, I cannot think of an answer just now."
    assert isinstance(trouble, Trouble) and ("timed out" in trouble.reason or "said nothing" in trouble.reason)


def test_the_connection_is_closed_when_nobody_listens_any_more(endpoint: Callable[..., EndpointMind]) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield from text("and " * 2000)[:1]

    thoughts = endpoint(endless()).respond(asked("a long story"))
    assert said([next(thoughts) for _ in range(3)])
    thoughts.close()
    assert Endpoint.closed.wait(20)


def test_the_key_is_sent_and_never_shown(
    endpoint: Callable[..., EndpointMind], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("VIVAVOCE_MIND_KEY", "geheim")
    mind = endpoint(text("Yes."))
    list(mind.respond(asked("hello")))
    assert Endpoint.keys == ["Bearer geheim"] and "geheim" not in repr(mind.config)
    (tmp_path / "key").write_text("aus der Datei\n")
    monkeypatch.setenv("VIVAVOCE_MIND_KEY_FILE", str(tmp_path / "key"))
    list(endpoint(text("Yes.")).respond(asked("hello")))
    assert Endpoint.keys[-1] == "Bearer aus der Datei"


def test_places_that_are_none_are_refused(endpoint: Callable[..., EndpointMind]) -> None:
    for wrong in ("localhost:11434", "ftp://x/v1#m", "http://#m", "http://x:port/v1#m", "http://x /v1#m"):
        with pytest.raises(ConfigError, match="no address of a mind"):
            endpoint_of(wrong)
    with pytest.raises(ConfigError, match=r"is not reached \(Connection refused\); begin that server, or correct"):
        endpoint_of("http://127.0.0.1:9/v1")
    url = endpoint().config.url
    assert endpoint_of(url).model == "only"  # where there is one it need not be named


def model_with(mind: EndpointMind) -> Abilities:
    fake = fake_model()
    return Abilities(
        activity=fake.activity,
        hearing=fake.hearing,
        thinking=mind,
        speaking=fake.speaking,
        thinks_elsewhere=frozenset({"mini"}),
    )


async def test_one_of_our_servers_thinks_for_another() -> None:
    def capital(context: Context) -> Iterator[Thought]:
        yield Say(f"the answer to {context.entries[-1].text} is paris.")

    with serving(model=fake_model(capital)) as thinker:
        mind = EndpointMind(endpoint_of(f"{thinker}/v1#gpt-audio"))
        with serving(model=model_with(mind)) as address:
            client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
            async with talking(client) as live:
                part = {"type": "input_text", "text": "the capital of france"}
                await live.connection.conversation.item.create(
                    item={"type": "message", "role": "user", "content": [part]}
                )
                await live.connection.response.create()
                await live.until("response.done")
                assert live.heard() == "the answer to the capital of france is paris."


async def test_a_session_hears_an_apology_and_is_told_why(endpoint: Callable[..., EndpointMind]) -> None:
    with serving(model=model_with(endpoint(401, text("Now it works.")))) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with talking(client) as live:
            await live.connection.response.create()
            error = (await live.until("error")).error
            assert error.code == "mind_failed" and error.type == "server_error" and "401" in error.message
            assert (await live.until("response.done")).response.status == "completed"
            assert live.heard() == "sorry, i cannot think of an answer just now."
            await live.connection.response.create()
            done = await live.until("response.done")
            assert done.response.output[0].content[0].transcript == "Now it works."


async def test_what_an_endpoint_lacks_is_no_fault_of_the_request(endpoint: Callable[..., EndpointMind]) -> None:
    with serving(model=model_with(endpoint(401, 401, 401, 401))) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        for asking in (
            client.responses.create(model="gpt-audio", input="hello"),
            client.chat.completions.create(model="gpt-audio", messages=[{"role": "user", "content": "hello"}]),
        ):
            with pytest.raises(InternalServerError, match="refused \\(401") as failed:
                await asking
            assert failed.value.status_code == 502 and failed.value.code == "mind_failed"
        events = [e async for e in await client.responses.create(model="gpt-audio", input="hello", stream=True)]
        assert events[-1].type == "response.failed"
        asked = [{"role": "user", "content": "hello"}]
        chunks = await client.chat.completions.create(model="gpt-audio", messages=asked, stream=True)
        with pytest.raises(APIError, match="refused \\(401") as failed:
            _ = [chunk async for chunk in chunks]
        assert failed.value.code == "mind_failed" and failed.value.type == "server_error"


def test_a_conversation_by_turns_raises_it(endpoint: Callable[..., EndpointMind]) -> None:
    talk = Conversation(model_with(endpoint(401)))
    with pytest.raises(MindError, match="401"):
        list(talk.ask("hello", speak=False))
