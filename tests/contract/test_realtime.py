"""The stock `openai` client holds conversations with our server; only its base URL is changed."""

import base64
import json

import numpy as np
import pytest
from live_server import serving, talking
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from vivavoce.core.talk import Call, Say
from vivavoce.runtime.fake import decode, fake_model, silence, utter
from vivavoce.server.formats import Decoder, Encoder

SERVER_EVENT = TypeAdapter(RealtimeServerEvent)
ORDER = {
    "type": "function",
    "name": "order_drink",
    "parameters": {"type": "object", "properties": {"coffeeDrink": {"type": "string"}, "size": {"type": "string"}}},
}
TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
]


def strictly(events):
    """Every event is one that the client's types describe, by exact validation."""
    for event in events:
        SERVER_EVENT.validate_python(json.loads(event.to_json()))


async def test_a_spoken_turn_comes_in_the_order_of_the_protocol(talk):
    async with talk() as live:
        await live.say(np.concatenate([silence(200), utter("hello."), silence(800)]))
        done = await live.until("response.done")
        kinds = [e.type for e in live.seen if not e.type.endswith(".delta")]
        assert kinds == ["session.created", "conversation.created", *TURN]
        assert live.heard() == "you said: hello." == done.response.output[0].content[0].transcript
        assert done.response.status == "completed" and done.response.usage.output_token_details.audio_tokens > 20
        strictly(live.seen)


async def test_transcription_is_sent_when_it_is_wanted(talk):
    audio = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": {"type": "semantic_vad"}}}
    async with talk(audio=audio) as live:
        await live.say(np.concatenate([silence(200), utter("a small coffee please."), silence(900)]))
        await live.until("response.done")
        kind = "conversation.item.input_audio_transcription"
        assert live.of(f"{kind}.completed")[0].transcript == "a small coffee please."
        assert "".join(e.delta for e in live.of(f"{kind}.delta")) == "a small coffee please."
        assert all(e.logprobs is None for e in live.seen if e.type.startswith(kind))
        strictly(live.seen)


async def test_log_probabilities_are_those_of_the_words_that_are_sent(talk):
    kind = "conversation.item.input_audio_transcription"
    audio = {"input": {"transcription": {"model": "whisper-1"}}}
    async with talk(audio=audio, include=["item.input_audio_transcription.logprobs"]) as live:
        await live.say(np.concatenate([silence(200), utter("a small coffee please."), silence(900)]))
        await live.until("response.done")
        for event in live.of(f"{kind}.delta"):
            assert [entry.token for entry in event.logprobs] == event.delta.split()
        assert [e.token for e in live.of(f"{kind}.completed")[0].logprobs] == "a small coffee please.".split()
        strictly(live.seen)


async def test_models_and_languages_of_a_transcription_are_checked(talk):
    async with talk() as live:
        for wrong, name in (({"model": "whisper-99"}, "model"), ({"language": "de"}, "language")):
            audio = {"input": {"transcription": wrong}}
            await live.connection.session.update(session={"type": "realtime", "audio": audio})
            assert (await live.until("error")).error.param == f"session.audio.input.transcription.{name}"
        assert not live.of("session.updated")


async def test_push_to_talk_commits_and_answers_only_when_told(talk):
    async with talk(audio={"input": {"turn_detection": None}}) as live:
        await live.connection.input_audio_buffer.commit()
        assert (await live.until("error")).error.code == "input_audio_buffer_commit_empty"
        await live.say(utter("one."))
        await live.connection.input_audio_buffer.clear()
        await live.until("input_audio_buffer.cleared")
        await live.say(utter("two."))
        await live.connection.input_audio_buffer.commit()
        await live.until("conversation.item.done")
        assert not live.of("response.created")
        await live.connection.response.create()
        await live.until("response.done")
        assert live.heard() == "you said: two."


async def test_a_call_its_result_and_the_answer_that_uses_it(talk):
    async with talk(tools=[ORDER]) as live:
        await live.say(np.concatenate([utter("a large latte please."), silence(800)]))
        done = await live.until("response.done")
        call, message = done.response.output
        assert call.name == "order_drink" and json.loads(call.arguments) == {"coffeeDrink": "latte", "size": "large"}
        assert message.content[0].transcript == "one large latte coming."
        assert live.of("response.function_call_arguments.done")[0].arguments == call.arguments
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "ready at nine"}
        await live.connection.conversation.item.create(item=result)
        await live.connection.response.create()
        done = await live.until("response.done")
        assert done.response.output[0].content[0].transcript == "the tool says ready at nine."
        strictly(live.seen)


async def test_a_forced_tool_is_called_and_an_unknown_one_refused(talk):
    async with talk(output_modalities=["text"]) as live:
        other = {"type": "function", "name": "wave", "parameters": {"type": "object"}}
        choice = {"type": "function", "name": "wave"}
        await live.connection.response.create(response={"tools": [other], "tool_choice": choice})
        done = await live.until("response.done")
        assert done.response.output[0].name == "wave" and json.loads(done.response.output[0].arguments) == {}
        await live.connection.response.create(response={"tool_choice": choice})
        assert (await live.until("error")).error.param == "response.tool_choice"


async def test_a_schema_that_cannot_be_enforced_is_refused_when_it_is_declared(talk):
    wave = {"type": "function", "name": "wave", "parameters": {"type": "object", "properties": {"a": {"$ref": "#/no"}}}}
    async with talk(output_modalities=["text"]) as live:
        await live.connection.session.update(session={"type": "realtime", "tools": [ORDER, wave]})
        assert (await live.until("error")).error.param == "session.tools[1].parameters"
        await live.connection.response.create(response={"tools": [wave]})
        assert (await live.until("error")).error.param == "response.tools[0].parameters"
        await live.connection.response.create(response={"tool_choice": "required"})
        assert (await live.until("error")).error.param == "response.tool_choice"
        assert not live.of("response.created")


async def test_parallel_calls_can_be_switched_off():
    def two(context):
        yield Call("order_drink", "{}")
        yield Say("both")
        yield Call("order_drink", "{}")

    with serving(model=fake_model(two)) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with talking(client, output_modalities=["text"], tools=[ORDER]) as live:
            counts = []
            for choice in ({}, {"parallel_tool_calls": False}):
                await live.connection.response.create(response=choice)
                output = (await live.until("response.done")).response.output
                counts.append([item.type for item in output].count("function_call"))
            assert counts == [2, 1]


async def test_the_oldest_items_are_left_out_as_truncation_says():
    def recall(context):
        yield Say(" ".join(entry.text for entry in context.entries))

    limits = {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 8}}
    with serving(model=fake_model(recall)) as address:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
        async with talking(client, output_modalities=["text"], truncation=limits) as live:
            for word in ("aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd", "eeeeeeee"):  # two tokens each
                part = {"type": "input_text", "text": word}
                await live.connection.conversation.item.create(
                    item={"type": "message", "role": "user", "content": [part]}
                )
            ask = {"conversation": "none"}
            await live.connection.response.create(response=ask)
            assert (await live.until("response.done")).response.output[0].content[0].text == "dddddddd eeeeeeee"
            part = {"type": "input_text", "text": "ffffffff"}
            await live.connection.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
            await live.connection.response.create(response=ask)
            done = (await live.until("response.done")).response
            assert done.output[0].content[0].text == "dddddddd eeeeeeee ffffffff"
            assert done.usage.input_tokens == 6


async def test_truncation_cuts_sound_and_words_and_the_next_answer_proves_it(talk):
    async with talk(audio={"input": {"turn_detection": None}}) as live:
        text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "apples and pears."}]}
        await live.connection.conversation.item.create(item=text)
        await live.connection.response.create()
        item = (await live.until("response.done")).response.output[0]
        await live.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=1350)
        await live.until("conversation.item.truncated")
        await live.connection.conversation.item.retrieve(item_id=item.id)
        kept = (await live.until("conversation.item.retrieved")).item.content[0]
        assert kept.transcript == "you said: apples"
        assert len(base64.b64decode(kept.audio)) == 1350 * 48
        again = len(live.seen)
        ask = {"role": "user", "type": "message", "content": [{"type": "input_text", "text": "what did you just say?"}]}
        await live.connection.conversation.item.create(item=ask)
        await live.connection.response.create()
        await live.until("response.done")
        assert live.heard(again) == "i said: you said: apples"
        await live.connection.conversation.item.truncate(item_id=item.id, content_index=0, audio_end_ms=9000)
        assert "already shorter" in (await live.until("error")).error.message
        strictly(live.seen)


async def test_speech_interrupts_an_answer(talk):
    async with talk() as live:
        await live.say(np.concatenate([utter("tell me a very long story about dragons."), silence(700)]))
        await live.until("response.output_audio.delta")
        await live.say(np.concatenate([utter("stop."), silence(700)]))
        await live.until("response.done", 2)
        first, second = live.of("response.done")
        if first.response.status == "cancelled":
            assert first.response.status_details.reason == "turn_detected"
        assert second.response.output[0].content[0].transcript == "you said: stop."
        strictly(live.seen)


async def test_cancelling(talk):
    async with talk() as live:
        await live.connection.response.cancel()
        assert (await live.until("error")).error.code == "response_cancel_not_active"
        story = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "word " * 2000}]}
        await live.connection.conversation.item.create(item=story)
        await live.connection.response.create()
        await live.until("response.output_audio.delta")
        await live.connection.response.create(event_id="again")
        error = (await live.until("error")).error
        assert error.code == "conversation_already_has_active_response" and error.event_id == "again"
        await live.connection.response.cancel()
        done = await live.until("response.done")
        assert (done.response.status, done.response.status_details.reason) == ("cancelled", "client_cancelled")
        assert done.response.output[0].status == "incomplete"


async def test_out_of_band_answers_leave_no_trace(talk):
    async with talk(output_modalities=["text"]) as live:
        asked = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "ping"}]}
        await live.connection.response.create(
            response={"conversation": "none", "input": [asked], "metadata": {"topic": "test"}}
        )
        done = await live.until("response.done")
        assert done.response.conversation_id is None and done.response.metadata == {"topic": "test"}
        assert done.response.output[0].content[0].text == "you said: ping."
        assert not live.of("conversation.item.added")
        await live.connection.response.create()
        assert (await live.until("response.done")).response.output[0].content[0].text == "how can i help you?"
        strictly(live.seen)


async def test_answers_out_of_band_are_made_beside_the_conversation(talk):
    def asked(text):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]

    async with talk() as live:
        await live.connection.conversation.item.create(item=asked("word " * 2000)[0])
        await live.connection.response.create()
        await live.until("response.output_audio.delta")
        long = live.of("response.created")[0].response.id
        for text in ("ping", "pong"):
            await live.connection.response.create(
                response={"conversation": "none", "input": asked(text), "metadata": {"topic": text}}
            )
        done = [(await live.until("response.done")).response for _ in range(2)]
        said = {e.metadata["topic"]: e.output[0].content[0].transcript for e in done}
        assert said == {"ping": "you said: ping.", "pong": "you said: pong."}
        assert all(e.output_modalities == ["audio"] and e.conversation_id is None for e in done)
        # both were whole while the long answer was still being made; it is the only one that the next is refused for
        await live.connection.response.create()
        assert (await live.until("error")).error.code == "conversation_already_has_active_response"
        await live.connection.response.cancel(response_id=long)
        assert (await live.until("response.done")).response.id == long
        strictly(live.seen)


async def test_items_are_placed_shown_and_deleted(talk):
    def words(text, name):
        return {"id": name, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}

    async with talk(output_modalities=["text"]) as live:
        item = live.connection.conversation.item
        await item.create(item=words("second", "b"))
        await item.create(item=words("first", "a"), previous_item_id="root")
        await item.create(item=words("third", "c"), previous_item_id="b")
        await live.until("conversation.item.done", 3)
        assert [e.previous_item_id for e in live.of("conversation.item.done")] == [None, None, "b"]
        await item.delete(item_id="c")
        await live.until("conversation.item.deleted")
        await item.retrieve(item_id="c")
        assert "no item 'c'" in (await live.until("error")).error.message
        await live.connection.response.create()
        assert (await live.until("response.done")).response.output[0].content[0].text == "you said: second."
        reference = {"type": "item_reference", "id": "a"}
        await live.connection.response.create(response={"conversation": "none", "input": [reference]})
        assert (await live.until("response.done")).response.output[0].content[0].text == "you said: first."


async def test_sound_as_an_item_is_heard(talk):
    async with talk(output_modalities=["text"]) as live:
        sound = (utter("by letter.") * 32767).astype("<i2").tobytes()
        part = {"type": "input_audio", "audio": base64.b64encode(sound).decode()}
        await live.connection.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})
        await live.connection.response.create()
        assert (await live.until("response.done")).response.output[0].content[0].text == "you said: by letter."
        # what is written beside the sound is kept, and the sound is heard all the same
        both = [{"type": "input_text", "text": "repeat"}, part]
        await live.connection.conversation.item.create(item={"type": "message", "role": "user", "content": both})
        await live.connection.response.create()
        done = await live.until("response.done")
        assert done.response.output[0].content[0].text == "you said: repeat by letter."
        shown = [e.item for e in live.of("conversation.item.done") if e.item.role == "user"][-1]
        await live.connection.conversation.item.retrieve(item_id=shown.id)
        heard, written = (await live.until("conversation.item.retrieved")).item.content
        assert (heard.transcript, written.text) == ("by letter.", "repeat")
        assert base64.b64decode(heard.audio)[:2000] == sound[:2000]


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_telephone_sound_both_ways(talk, name):
    audio = {"input": {"format": {"type": name}}, "output": {"format": {"type": name}}}
    async with talk(audio=audio) as live:
        sound = np.concatenate([silence(200), utter("hello."), silence(900)])
        data = base64.b64encode(Encoder(name)(sound, last=True)).decode()
        await live.connection.input_audio_buffer.append(audio=data)
        await live.until("response.done")
        parts = b"".join(base64.b64decode(e.delta) for e in live.of("response.output_audio.delta"))
        assert decode(Decoder(name)(parts, last=True)) == "you said: hello."


async def test_an_answer_may_be_limited(talk):
    async with talk(max_output_tokens=12) as live:
        text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "word " * 100}]}
        await live.connection.conversation.item.create(item=text)
        await live.connection.response.create()
        done = await live.until("response.done")
        assert (done.response.status, done.response.status_details.reason) == ("incomplete", "max_output_tokens")
        await live.connection.response.create(response={"max_output_tokens": "inf"})
        assert (await live.until("response.done")).response.status == "completed"


async def test_idle_people_are_spoken_to(talk):
    detection = {"type": "server_vad", "idle_timeout_ms": 1000}
    async with talk(audio={"input": {"turn_detection": detection}}) as live:
        await live.say(np.concatenate([utter("hi."), silence(700)]))
        await live.until("response.done")
        await live.say(silence(4000))
        await live.until("input_audio_buffer.timeout_triggered")
        await live.until("response.done")
        strictly(live.seen)


async def test_settings_that_must_not_change(talk):
    async with talk() as live:
        await live.connection.session.update(session={"type": "realtime", "model": "gpt-realtime-mini"})
        assert (await live.until("error")).error.code == "cannot_update_model"
        await live.connection.response.create()
        await live.until("response.done")
        await live.connection.session.update(session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
        assert (await live.until("error")).error.code == "cannot_update_voice"


async def test_the_names_of_the_beta_are_understood(talk):
    async with talk() as live:
        old = {"modalities": ["text"], "turn_detection": None, "input_audio_format": "g711_ulaw", "temperature": 0.8}
        await live.connection.send({"type": "session.update", "session": old})
        session = (await live.until("session.updated")).session
        assert session.output_modalities == ["text"] and session.audio.input.turn_detection is None
        assert session.audio.input.format.type == "audio/pcmu"


async def test_a_transcription_session_listens_only(talk):
    async with talk(intent="transcription") as live:
        assert live.of("session.created")[0].session.type == "transcription"
        await live.say(np.concatenate([silence(200), utter("listen to this."), silence(800)]))
        kind = "conversation.item.input_audio_transcription"
        assert (await live.until(f"{kind}.completed")).transcript == "listen to this."
        await live.connection.response.create()
        assert (await live.until("error")).error.code == "not_supported"
        strictly(live.seen)
