"""The tables in docs/realtime.md: events, from the types of the `openai` package, and the names that we answer to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
from openai.types import AudioModel, ChatModel
from openai.types.audio import SpeechModel
from openai.types.audio.speech_create_params import Voice as SpeechVoice
from openai.types.realtime import (
    RealtimeAudioConfigOutput,
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
)
from test_realtime import ORDER
from test_webrtc import Peer

from vivavoce.core.voice import STOCK
from vivavoce.runtime.fake import silence, utter
from vivavoce.server.names import MODELS
from vivavoce.server.wire.events import ClientEvent
from vivavoce.server.wire.sessions import RealtimeSession, TranscriptionSession

DOC = Path(__file__).parents[2] / "docs" / "realtime.md"
NO_MCP = "no: MCP tools are not supported; declare functions"
WHY_NOT = {
    "conversation.item.created": "no: the older name; `.added` and `.done` are sent",
    "conversation.item.input_audio_transcription.failed": "no: not understood is empty, broken is an `error`",
    "conversation.item.input_audio_transcription.segment": "no: speakers are not told apart",
    "input_audio_buffer.dtmf_event_received": "no: there is no telephone (SIP) here",
    "mcp_list_tools.in_progress": NO_MCP,
    "mcp_list_tools.completed": NO_MCP,
    "mcp_list_tools.failed": NO_MCP,
    "response.mcp_call_arguments.delta": NO_MCP,
    "response.mcp_call_arguments.done": NO_MCP,
    "response.mcp_call.in_progress": NO_MCP,
    "response.mcp_call.completed": NO_MCP,
    "response.mcp_call.failed": NO_MCP,
}
ONLY_WEBRTC = "over WebRTC, where we own the playback"


def names(union) -> list[str]:
    members = get_args(get_args(union)[0])
    return [get_args(member.model_fields["type"].annotation)[0] for member in members]


def table() -> str:
    accepted = set(choices())
    rows = ["| from the client | |", "|---|---|"]
    for name in sorted(names(RealtimeClientEvent)):
        extra = f", {ONLY_WEBRTC}" if name.startswith("output_audio_buffer") else ""
        rows.append(f"| `{name}` | {'yes' + extra if name in accepted else 'NO'} |")
    rows += ["", "| from the server | |", "|---|---|"]
    for name in sorted(names(RealtimeServerEvent)):
        extra = f", {ONLY_WEBRTC}" if name.startswith("output_audio_buffer") else ""
        rows.append(f"| `{name}` | {WHY_NOT.get(name) or 'yes' + extra} |")
    return "\n".join(rows) + "\n"


def choices() -> list[str]:
    members = get_args(get_args(ClientEvent)[0])
    return [get_args(member.model_fields["type"].annotation)[0] for member in members]


def aliases() -> str:
    rows = ["| for | names that mean `vivavoce-mini` |", "|---|---|"]
    rows += [f"| {kind} | {', '.join(f'`{name}`' for name in known)} |" for kind, known in MODELS.items()]
    rows += ["", "| voice | described as |", "|---|---|"]
    rows += [f"| `{name}` | {words or 'the innkeeper as he is'} |" for name, words in STOCK.items()]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("mark", "made"), [("events", table), ("names", aliases)])
def test_the_tables_are_true_and_complete(mark: str, made: Callable[[], str], rewrite):
    text = DOC.read_text()
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    before, rest = text.split(begin)
    old, after = rest.split(end)
    new = made()
    assert "NO |" not in new, new
    if rewrite:
        DOC.write_text(before + begin + new + end + after)
    else:
        assert old == new, "run pytest --golden to write the table again"


async def test_every_event_that_the_table_promises_is_sent_and_no_other(talk, address):
    """One conversation over the socket and one over WebRTC in which everything happens that the table has."""
    detection = {"type": "server_vad", "idle_timeout_ms": 1000}
    heard = {"transcription": {"model": "whisper-1"}, "turn_detection": detection}
    async with talk(audio={"input": heard}, tools=[ORDER]) as live:
        item, buffer = live.connection.conversation.item, live.connection.input_audio_buffer
        await live.say(np.concatenate([utter("a large latte please."), silence(800)]))
        order, said = (await live.until("response.done")).response.output
        assert order.type == "function_call"
        await live.say(silence(4000))
        await live.until("input_audio_buffer.timeout_triggered")
        await live.until("response.done")
        await item.truncate(item_id=said.id, content_index=0, audio_end_ms=100)
        await live.until("conversation.item.truncated")
        await item.retrieve(item_id=said.id)
        await live.until("conversation.item.retrieved")
        await item.delete(item_id=said.id)
        await live.until("conversation.item.deleted")
        await buffer.clear()
        await live.until("input_audio_buffer.cleared")
        await live.connection.response.create(response={"output_modalities": ["text"], "conversation": "none"})
        await live.until("response.done")
        await item.delete(item_id="nobody")
        await live.until("error")
    seen = {event.type for event in live.seen}
    peer = Peer()
    await peer.call(address)
    try:
        await peer.until("session.created")
        peer.microphone.say(np.concatenate([silence(200), utter("hello."), silence(400)]))
        await peer.until("output_audio_buffer.started")
        await peer.until("output_audio_buffer.stopped")
        peer.microphone.say(np.concatenate([utter("tell me a very long story about dragons."), silence(400)]))
        await peer.until("output_audio_buffer.started")
        peer.channel.send(json.dumps({"type": "output_audio_buffer.clear"}))
        await peer.until("output_audio_buffer.cleared")
    finally:
        await peer.connection.close()
    seen |= set(peer.seen)
    assert seen == set(names(RealtimeServerEvent)) - WHY_NOT.keys()


def literals(annotation: Any) -> set[str]:
    """All the strings that an annotation names."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*(literals(part) for part in get_args(annotation)))


def test_every_stock_name_of_the_client_means_something_here():
    models = literals(RealtimeSessionCreateRequest.model_fields["model"].annotation)
    assert models and models <= set(MODELS["realtime"])
    assert literals(SpeechModel) <= set(MODELS["speech"])
    assert literals(AudioModel) - {"gpt-4o-transcribe-diarize"} <= set(MODELS["transcription"])
    assert {name for name in literals(ChatModel) if "audio" in name} <= set(MODELS["chat"])
    voices = literals(RealtimeAudioConfigOutput.model_fields["voice"].annotation)
    assert voices and voices | literals(SpeechVoice) <= set(STOCK)


def test_every_field_of_a_session_is_known():
    ours = set(RealtimeSession.model_fields)
    assert set(RealtimeSessionCreateRequest.model_fields) <= ours
    assert set(RealtimeTranscriptionSessionCreateRequest.model_fields) <= set(TranscriptionSession.model_fields)
