"""A mind behind an address: any server that speaks OpenAI's chat completions (Ollama, vLLM, llama.cpp, a cloud).

The conversation as it was heard goes there, text and calls come back while they are written. Closing the iterator
closes the connection, so that an answer that nobody waits for any more is not computed either.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from vivavoce.assistant.plain import Thoughtless
from vivavoce.assistant.remote import PASSING, EndpointConfig, refused, request_of, unreached, why, without_key
from vivavoce.core.errors import MindError
from vivavoce.core.talk import Call, Entry, Say, Thought, Trouble, as_known
from vivavoce.runtime.model import Context

SPOKEN = "You are heard, not read: answer in one to three short sentences, without lists, headings, Markdown or emoji."
_APOLOGY = "Sorry, I cannot think of an answer just now."
_POLL_SECONDS = 0.1
_ATTEMPTS = 2
_MOST_WHOLE = 1 << 20
"""Bytes of an answer that does not stream."""


def messages_of(context: Context, spoken: str = SPOKEN) -> list[dict[str, Any]]:
    """The conversation in the form of chat completions.

    A reply and its calls are one message, results stand right behind their calls whenever they came, as servers want
    it; a call without a result gets one that says so. ``spoken`` says how to answer somebody who listens.
    """
    results = {entry.call: entry.output for entry in context.entries if entry.kind == "result"}
    system = {"role": "system", "content": "\n\n".join(text for text in (context.instructions, spoken) if text)}
    messages = [system]
    owed: list[dict[str, Any]] = []
    for entry in as_known(context.entries):
        if entry.kind == "result":  # what is said after it follows it
            messages, owed = messages + owed, []
            continue
        if entry.role != "assistant":
            messages += owed
            owed = []
            if entry.text:
                messages.append({"role": entry.role, "content": entry.text})
            continue
        if entry.kind == "message" and not entry.text:
            continue
        if messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": ""})
        _extend(messages[-1], entry)
        if entry.kind == "call":
            output = results.get(entry.call, "(no result yet)")
            owed.append({"role": "tool", "tool_call_id": entry.call, "content": output})
    return messages + owed


def _extend(message: dict[str, Any], entry: Entry) -> None:
    if entry.kind == "call":
        called = {"name": entry.name, "arguments": entry.arguments}
        message.setdefault("tool_calls", []).append({"id": entry.call, "type": "function", "function": called})
    else:
        text = f"{entry.text} [interrupted]" if entry.status == "incomplete" and entry.text else entry.text
        message["content"] = f"{message['content']} {text}".strip()


def _more_of(calls: list[dict[str, str]], came: dict[str, Any]) -> None:
    """Adds a piece of a call to the one that it belongs to: that of its number, unless it has an id of its own, as with
    endpoints that number all calls alike; where it has neither, the last."""
    number, id = str(came.get("index", "")), str(came.get("id") or "")
    mine = [call for call in calls if (call["id"] == id if id else call["index"] == number or not number)]
    if not mine:
        calls.append({"index": number, "id": id, "name": "", "arguments": ""})
    call, function = (mine or calls)[-1], came.get("function") or {}
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""


class EndpointMind:
    """Thinking for the runtime by asking an endpoint."""

    tools = ()
    """It was taught none; a session declares its own."""

    def __init__(self, config: EndpointConfig) -> None:
        """Connects when there is something to answer."""
        self.config = config

    @property
    def name(self) -> str:
        """The model's name there."""
        return self.config.model

    def respond(self, context: Context) -> Iterator[Thought]:
        """Text as it is written, then calls; an empty `Say` now and then, where one may stop listening.

        When the endpoint fails an apology is said, and `Trouble` says why.
        """
        said = False
        try:
            for piece in self._answer(context):
                said = said or isinstance(piece, Call) or bool(piece.text.strip())
                yield piece
            if not said:
                raise MindError(f"{self.config.model} at {self.config.url} gave an empty answer")
        except MindError as error:
            yield Say(f" {_APOLOGY}" if said else _APOLOGY)
            yield Trouble(str(error))

    def _answer(self, context: Context) -> Iterator[Say | Call]:
        calls: list[dict[str, str]] = []
        text = Thoughtless()
        finished = False
        for line in self._lines(self._body(context)):
            if line is None:
                yield Say("")
                continue
            if line == "[DONE]":
                break
            data, ends = self._delta(line)
            finished = finished or ends
            if fresh := text.more(str(data.get("content") or "")):
                yield Say(fresh)
            for called in data.get("tool_calls") or ():
                _more_of(calls, called)
        else:  # some end without saying that they do
            if not finished:
                raise MindError(f"{self.config.url} broke off in the middle of an answer")
        if rest := text.rest():
            yield Say(rest)
        for call in calls:
            yield self._called(call, context)

    def _called(self, call: dict[str, str], context: Context) -> Call:
        where = f"{self.config.model} called {call['name'] or 'a tool without a name'}"
        if call["name"] not in {tool.name for tool in context.tools}:
            raise MindError(f"{where}, which was not offered to it")
        try:
            arguments = json.loads(call["arguments"] or "{}")
        except ValueError as error:
            raise MindError(f"{where} with arguments that are no JSON") from error
        if not isinstance(arguments, dict):
            raise MindError(f"{where} with arguments that are no object")
        return Call(call["name"], json.dumps(arguments, ensure_ascii=False))

    def _body(self, context: Context) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.config.model, "messages": messages_of(context), "stream": True}
        if context.tools and context.tool_choice != "none":
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
                }
                for t in context.tools
            ]
            named = context.tool_choice not in ("auto", "required")
            choice: Any = (
                {"type": "function", "function": {"name": context.tool_choice}} if named else context.tool_choice
            )
            body["tool_choice"] = choice
        return body

    def _delta(self, line: str) -> tuple[dict[str, Any], bool]:
        """What a line of the stream adds, and whether the answer ends with it; an answer in one piece is one, too."""
        try:
            data = json.loads(line)
            if "error" in data:
                raise MindError(f"{self.config.url} broke off: {without_key(self.config, data['error'])}")
            if not data["choices"]:
                return {}, False
            choice = data["choices"][0]
            whole = choice.get("message")
            return choice.get("delta") or whole or {}, bool(whole or choice.get("finish_reason"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise MindError(f"{self.config.url} sent something that is no chat completion: {line[:80]!r}") from error

    def _lines(self, body: dict[str, Any]) -> Iterator[str | None]:
        """The data of the stream's events to its end; None every tenth of a second in which nothing comes.

        The connection is read on a thread of its own, as only so its silence can be interrupted.
        """
        box: SimpleQueue[str | BaseException | None] = SimpleQueue()
        reader = _Reader(self.config, body, box)
        Thread(target=reader.run, name="vivavoce-endpoint", daemon=True).start()
        waited = time.monotonic()
        try:
            while True:
                try:
                    came = box.get(timeout=_POLL_SECONDS)
                except Empty:
                    if (silent := time.monotonic() - waited) > self.config.patience_seconds * _ATTEMPTS:
                        raise MindError(
                            f"{self.config.url} has said nothing for {silent:.0f} s; see what it is doing, or ask again"
                        ) from None
                    yield None
                    continue
                waited = time.monotonic()
                if came is None:
                    return
                if isinstance(came, BaseException):
                    raise came
                yield came
        finally:
            reader.stop()


class _Reader:
    """Reads one streamed answer into a queue: the events' data, then None, or an error."""

    def __init__(
        self, config: EndpointConfig, body: dict[str, Any], box: SimpleQueue[str | BaseException | None]
    ) -> None:
        self._config, self._body, self._box = config, body, box
        self._stopped = False
        self._answer: Any = None

    def stop(self) -> None:
        """Closes the connection."""
        self._stopped = True
        if self._answer is not None:
            self._answer.close()

    def run(self) -> None:
        """Asks, once more if that was refused for the moment and nothing was said yet."""
        for attempt in range(_ATTEMPTS):
            try:
                request = request_of(self._config, "chat/completions", self._body)
                with urllib.request.urlopen(request, timeout=self._config.patience_seconds) as self._answer:
                    if self._stopped:
                        return
                    events, other = False, b""
                    for line in self._answer:
                        if line.startswith(b"data:"):
                            events = True
                            self._box.put(line[5:].decode(errors="replace").strip())
                        elif not events and len(other) < _MOST_WHOLE and not line.startswith((b":", b"event:")):
                            other += line
                if not events and other.strip():  # it does not stream: one answer, or none
                    self._box.put(other.decode(errors="replace").strip())
                self._box.put(None)
                return
            except urllib.error.HTTPError as error:
                if error.code in PASSING and attempt + 1 < _ATTEMPTS and not self._stopped:
                    time.sleep(0.3)
                    continue
                self._box.put(MindError(refused(self._config, error)))
                return
            except (OSError, HTTPException, ValueError, AttributeError) as error:
                if self._stopped:
                    return
                if self._answer is None and attempt + 1 < _ATTEMPTS:
                    time.sleep(0.3)
                    continue
                broke = f"{self._config.url} broke off in the middle of an answer ({why(error)})"
                self._box.put(MindError(unreached(self._config, error) if self._answer is None else broke))
                return
