"""`/v1/audio/speech`: text to sound, streamed while it is made."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vivavoce.core.errors import SpeakerError, TextError, VivavoceError, VoiceError
from vivavoce.core.voice import Voice
from vivavoce.runtime.api import AudioOut, Output, Refused, ReplyOptions, Respond, SessionConfig, TurnConfig, TurnEnded
from vivavoce.server.names import check_model
from vivavoce.server.outputs import first_of
from vivavoce.server.problems import Problem
from vivavoce.server.realtime_responses import usage_of
from vivavoce.server.replies import ERRORS, broken, sse
from vivavoce.server.service import Service
from vivavoce.server.sound_files import MEDIA, FileEncoder, FileFormat
from vivavoce.server.wire.fields import Name, Text
from vivavoce.server.wire.sessions import VoiceId
from vivavoce.text.normalise import phrases


class SpeechRequest(BaseModel):
    """What to say, and how."""

    model_config = ConfigDict(strict=True)

    model: Name
    input: str = Field(min_length=1, max_length=4096)
    voice: Text | VoiceId
    instructions: str | None = Field(default=None, max_length=4096)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(default=1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"

    @model_validator(mode="before")
    @classmethod
    def _set(cls, given: Any) -> Any:
        """Null is as good as not set: clients send it for what they leave open."""
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


def wanted_voice(service: Service, voice: str | VoiceId, instructions: str | None, speed: float) -> Voice:
    """The voice of a request; instructions describe it further, they do not make it somebody else."""
    try:
        found = service.voice(voice.id if isinstance(voice, VoiceId) else voice)
    except VoiceError as error:
        raise Problem(str(error), "invalid_value", "voice") from error
    return replace(found, description=", ".join(filter(None, (found.description, instructions))), speed=speed)


async def _audible(outputs: AsyncGenerator[Output, None]) -> AsyncGenerator[Output, None]:
    """The same outputs; Problem where the answer is over and nothing was to be heard."""
    heard = False
    async with aclosing(outputs):
        async for output in outputs:
            heard |= isinstance(output, AudioOut)
            if isinstance(output, Refused) and output.code == "speaking_failed":
                raise SpeakerError(output.message)
            if isinstance(output, TurnEnded) and output.why == "completed" and not heard:
                raise Problem(
                    "There is nothing in 'input' that can be said aloud; write words.", "invalid_value", "input"
                )
            yield output


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(prefix="/v1/audio", tags=["audio"])
    sound = {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}
    answers = {
        **ERRORS,
        200: {"description": "The sound", "content": {**sound, "text/event-stream": {"schema": {"type": "string"}}}},
    }

    @routes.post("/speech", summary="Text to speech", response_class=Response, responses=answers)
    async def speech(request: SpeechRequest) -> Response:
        """Speaks a text in a preset, described or cloned voice; ``instructions`` describe how it should sound."""
        check_model(request.model, "speech", service.speakers)
        if request.response_format == "aac":
            raise Problem("AAC is not supported; use mp3, opus, flac, wav or pcm.", "not_supported", "response_format")
        if not request.input.strip():
            raise Problem("The input is empty; give a text to speak.", "invalid_value", "input")
        try:
            await asyncio.to_thread(phrases, request.input)
        except TextError as error:
            raise Problem(str(error), "invalid_value", "input") from error
        voice = wanted_voice(service, request.voice, request.instructions, request.speed)
        config = SessionConfig(voice=voice, turns=TurnConfig(kind="none"))
        asked = Respond(ReplyOptions(recite=request.input))
        outputs = await first_of(_audible(service.one_turn(config, [asked])))
        if request.stream_format == "sse":
            return StreamingResponse(_events(outputs, request.response_format), media_type="text/event-stream")
        return StreamingResponse(_bytes(outputs, request.response_format), media_type=MEDIA[request.response_format])

    return routes


async def _bytes(outputs: AsyncIterator[Output], name: FileFormat) -> AsyncIterator[bytes]:
    with closing(FileEncoder(name)) as encoder:
        async for output in outputs:
            if isinstance(output, AudioOut) and (data := encoder(output.pcm)):
                yield data
        if data := encoder.finish():
            yield data


async def _events(outputs: AsyncIterator[Output], name: FileFormat) -> AsyncIterator[str]:
    usage = None
    with closing(FileEncoder(name)) as encoder:
        try:
            async for output in outputs:
                if isinstance(output, AudioOut) and (data := encoder(output.pcm)):
                    yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})
                if isinstance(output, TurnEnded):
                    usage = usage_of(output.usage)
        except VivavoceError as error:
            yield sse(broken(error))
            return
        if data := encoder.finish():
            yield sse({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode()})
    counts = {name: (usage or {}).get(name, 0) for name in ("input_tokens", "output_tokens", "total_tokens")}
    yield sse({"type": "speech.audio.done", "usage": counts})
