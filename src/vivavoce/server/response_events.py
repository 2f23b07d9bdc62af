"""A response of `/v1/responses` while it grows: each output of the runtime becomes events and items."""

import secrets
from collections.abc import Iterator
from typing import Any

from vivavoce.core.talk import Entry
from vivavoce.runtime.api import Output, TextOut, ToolCall, TurnEnded, Usage


def usage_of(usage: Usage) -> dict[str, Any]:
    """Sizes as this endpoint counts them."""
    given, made = usage.input_text + usage.input_audio, usage.output_text + usage.output_audio
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
    }


class ResponseWriter:
    """Keeps the response; every method gives the events to be sent, in order and numbered."""

    def __init__(self, head: dict[str, Any]) -> None:
        """A response that is begun; ``head`` is what is known of it."""
        nothing = {"error": None, "incomplete_details": None, "usage": None}
        self.response: dict[str, Any] = {**head, **nothing, "status": "in_progress", "output": []}
        self.entries: list[Entry] = []
        """What was made, for the history."""
        self.error: Exception | None = None
        """What broke it."""
        self._number = 0
        self._message: dict[str, Any] | None = None
        self._texts: list[str] = []

    def _event(self, kind: str, **more: Any) -> dict[str, Any]:
        event = {"type": f"response.{kind}", "sequence_number": self._number, **more}
        self._number += 1
        return event

    def _shown(self) -> dict[str, Any]:
        return {**self.response, "output": list(self.response["output"])}

    def begin(self) -> Iterator[dict[str, Any]]:
        """The first events."""
        yield self._event("created", response=self._shown())
        yield self._event("in_progress", response=self._shown())

    def take(self, output: Output) -> Iterator[dict[str, Any]]:
        """What an output of the runtime means."""
        if isinstance(output, TextOut):
            yield from self._text(output.delta)
        elif isinstance(output, ToolCall):
            yield from self._over("completed")
            yield from self._call(output)
        elif isinstance(output, TurnEnded):
            whole = output.why == "completed"
            yield from self._over("completed" if whole else "incomplete")
            self.response |= {"status": "completed" if whole else "incomplete", "usage": usage_of(output.usage)}
            if not whole:
                reason = "max_output_tokens" if output.why == "max_output_tokens" else "content_filter"
                self.response["incomplete_details"] = {"reason": reason}
            yield self._event(self.response["status"], response=self._shown())

    def fail(self, error: Exception) -> dict[str, Any]:
        """The last event of a response that broke."""
        self.error = error
        self.response |= {"status": "failed", "error": {"code": "server_error", "message": str(error)}}
        return self._event("failed", response=self._shown())

    @property
    def _place(self) -> dict[str, Any]:
        assert self._message is not None
        return {"item_id": self._message["id"], "output_index": len(self.response["output"]), "content_index": 0}

    def _text(self, delta: str) -> Iterator[dict[str, Any]]:
        if self._message is None:
            head = {"id": f"msg_{secrets.token_hex(12)}", "type": "message", "role": "assistant"}
            self._message = {**head, "status": "in_progress", "content": []}
            yield self._event("output_item.added", output_index=self._place["output_index"], item=dict(self._message))
            yield self._event("content_part.added", **self._place, part=_part(""))
        self._texts.append(delta)
        yield self._event("output_text.delta", **self._place, delta=delta, logprobs=[])

    def _over(self, status: str) -> Iterator[dict[str, Any]]:
        """Closes the message that is being written."""
        if self._message is None:
            return
        text, place = "".join(self._texts), self._place
        yield self._event("output_text.done", **place, text=text, logprobs=[])
        yield self._event("content_part.done", **place, part=_part(text))
        item = {**self._message, "status": status, "content": [_part(text)]}
        self._message = None
        self._texts.clear()
        self.entries.append(Entry(id="", role="assistant", text=text))
        yield self._event("output_item.done", output_index=place["output_index"], item=item)
        self.response["output"].append(item)

    def _call(self, call: ToolCall) -> Iterator[dict[str, Any]]:
        head = {"id": f"fc_{secrets.token_hex(12)}", "type": "function_call", "call_id": call.call, "name": call.name}
        where = {"output_index": len(self.response["output"])}
        place = {"item_id": head["id"], **where}
        yield self._event("output_item.added", **where, item={**head, "status": "in_progress", "arguments": ""})
        yield self._event("function_call_arguments.delta", **place, delta=call.arguments)
        yield self._event("function_call_arguments.done", **place, name=call.name, arguments=call.arguments)
        item = {**head, "status": "completed", "arguments": call.arguments}
        yield self._event("output_item.done", **where, item=item)
        self.response["output"].append(item)
        self.entries.append(
            Entry(id="", kind="call", role="assistant", call=call.call, name=call.name, arguments=call.arguments)
        )


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
