"""Items of the wire and entries of the history."""

import base64
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vivavoce.audio.pcm import to_float, to_int16
from vivavoce.core.talk import Entry, Word
from vivavoce.server.formats import Decoder, Encoder
from vivavoce.server.problems import Problem
from vivavoce.server.wire.items import (
    AssistantMessage,
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    SystemMessage,
)


def base64_bytes(text: str, param: str) -> bytes:
    """The bytes of a field, whose padding and lines may be missing or broken; Problem when it is not base64."""
    text = "".join(text.split())
    missing = -len(text) % 4 if "=" not in text else 0
    try:
        data = base64.b64decode(text + "=" * missing, validate=True)
    except ValueError as error:
        raise Problem(f"'{param}' is not base64; encode the bytes of the sound.", "invalid_value", param) from error
    if missing and base64.b64encode(data).rstrip(b"=").decode() != text:
        message = f"'{param}' ends inside of a byte; base64 that was cut in pieces is no sound, so encode each piece."
        raise Problem(message, "invalid_value", param)
    return data


def sound_of(text: str, format_name: str, param: str) -> np.ndarray:
    """A whole recording in the session's input format, as 16 bit at 24 kHz."""
    data = base64_bytes(text, param)
    if format_name == "audio/pcm" and len(data) % 2:
        raise Problem(f"'{param}' has {len(data)} bytes, which is no 16-bit sound.", "invalid_value", param)
    return to_int16(Decoder(format_name)(data, last=True))


def entry_of(item: Item, format_name: str, new_id: Callable[[str], str], param: str = "item") -> Entry:
    """The entry that an item of a client becomes."""
    name = item.id or new_id("item")
    if isinstance(item, FunctionCall):
        call = item.call_id or new_id("call")
        return Entry(id=name, kind="call", role="assistant", name=item.name, arguments=item.arguments, call=call)
    if isinstance(item, FunctionCallOutput):
        return Entry(id=name, kind="result", call=item.call_id, output=item.output)
    if isinstance(item, SystemMessage | AssistantMessage):
        return Entry(id=name, role=item.role, text="".join(part.text for part in item.content))
    texts = [part.text for part in item.content if isinstance(part, InputText)]
    said, sounds = [], []
    for index, part in enumerate(item.content):
        if isinstance(part, InputAudio):
            said += [part.transcript] if part.transcript else []
            if part.audio:
                sounds.append(sound_of(part.audio, format_name, f"{param}.content[{index}].audio"))
    return user_entry(name, "\n".join(texts), sounds, "\n".join(said))


def user_entry(name: str, written: str, sounds: list[np.ndarray], said: str = "") -> Entry:
    """What a user wrote and said in one message; ``said``, where it is known already, is not listened to."""
    if not sounds:
        return Entry(id=name, text="\n".join(filter(None, (written, said))))
    sound = np.concatenate(sounds)
    text = " ".join(filter(None, (written, said)))
    return Entry(id=name, text=text, written=written, spoken=True, audio=sound, samples=len(sound))


def item_of(entry: Entry, format_name: str = "", transcript: bool = True, empty: bool = False) -> dict[str, Any]:
    """An entry as the wire shows it; with a format name its sound is in it."""
    head = {"id": entry.id, "object": "realtime.item", "status": entry.status}
    if entry.kind == "call":
        arguments = "" if empty else entry.arguments
        return {**head, "type": "function_call", "name": entry.name, "call_id": entry.call, "arguments": arguments}
    if entry.kind == "result":
        return {**head, "type": "function_call_output", "call_id": entry.call, "output": entry.output}
    part: dict[str, Any]
    if entry.spoken:
        kind = "output_audio" if entry.role == "assistant" else "input_audio"
        part = {"type": kind, "transcript": entry.said} if transcript else {"type": kind}
        if format_name and entry.audio is not None:
            encoded = Encoder(format_name)(to_float(entry.audio), last=True)
            part["audio"] = base64.b64encode(encoded).decode()
    else:
        part = {"type": "output_text" if entry.role == "assistant" else "input_text", "text": entry.text}
    written = [{"type": "input_text", "text": entry.written}] if entry.written else []
    return {**head, "type": "message", "role": entry.role, "content": [] if empty else [part, *written]}


def logprobs_of(words: tuple[Word, ...]) -> list[dict[str, Any]]:
    """How sure the listener is of each word."""
    sure = ((word.text, min(1.0, max(1e-6, word.confidence))) for word in words)
    return [{"token": text, "bytes": list(text.encode()), "logprob": math.log(chance)} for text, chance in sure]
