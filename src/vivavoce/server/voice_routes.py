"""`/v1/audio/voices`: voices from words, or from a clip of somebody who agreed to it."""

from typing import Any, Literal, TypeVar

from fastapi import APIRouter, Request, Response, UploadFile
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile as Upload

from vivavoce.core.errors import ConsentError
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime.model import RATE, FixedVoices
from vivavoce.server.problems import NotFound, Problem, problem_of
from vivavoce.server.replies import ERRORS, upload_bytes, warned
from vivavoce.server.service import Service
from vivavoce.server.sound_files import read_upload
from vivavoce.server.voices import VoiceRecord

SHORTEST_CLIP = RATE
LONGEST_CLIP = 60.0
RecordT = TypeVar("RecordT")


class VoiceObject(BaseModel):
    """A voice of one's own."""

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    created_at: int
    name: str
    type: Literal["audio_sample", "prompt"]
    prompt: str | None = None
    consent: str | None = None
    """Ours: the consent that a cloned voice rests on; deleting it deletes the voice."""


class VoiceName(BaseModel):
    """What a voice is chosen by, and what it is called."""

    id: str
    name: str


class VoiceList(BaseModel):
    """Voices of one's own, newest first, the names of those that are always there, and all that may be chosen."""

    object: Literal["list"] = "list"
    data: list[VoiceObject]
    presets: list[str]
    voices: list[VoiceName]
    """As Open WebUI reads them."""


class Deleted(BaseModel):
    """The id of what was deleted."""

    id: str
    object: str
    deleted: bool


class PromptVoice(BaseModel):
    """A voice described in words."""

    type: Literal["prompt"]
    name: str = Field(min_length=1, max_length=256)
    prompt: str = Field(min_length=1, max_length=4096)
    model: str | None = None
    script_hint: str | None = None


def _voice(record: VoiceRecord) -> VoiceObject:
    kind: Any = record.kind
    return VoiceObject(
        id=record.id,
        created_at=record.created,
        name=record.name,
        type=kind,
        prompt=record.prompt or None,
        consent=record.consent,
    )


def found(record: RecordT | None, what: str, key: str) -> RecordT:
    """What was looked for; NotFound when there is none."""
    if not record:
        raise NotFound(f"There is no {what} '{key}'.", "not_found", f"{what}_id")
    return record


async def clip_of(upload: UploadFile | Upload, param: str, most: int, response: Response) -> bytes:
    """A recording of somebody, of ``most`` bytes; warnings about it go into the response's head.

    Problem for one of less than a second; AudioError for what is no recording, is silent or too long.
    """
    data = await upload_bytes(upload, most, param)
    pcm, warning = await run_in_threadpool(
        read_upload, data, upload.filename or "", limit_seconds=LONGEST_CLIP, allow_silent=False
    )
    if len(pcm) < SHORTEST_CLIP:
        raise Problem(f"'{param}' has {len(pcm) / RATE:.1f} s; at least a second is needed.", "invalid_value", param)
    response.headers.update(warned([warning]))
    return data


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1/audio", tags=["voices"], responses=ERRORS)
    store, most = service.voices, service.settings.upload_bytes

    def imitate(recording: bytes, consent: str) -> None:
        """Raises VoiceError when the model cannot: better now than when the voice is to speak."""
        speaking = service.engine.model.speaking
        speaking.begin(speaking.init_state(1), 0, Voice.like(recording, consent=Consent(consent)), 0)

    def check(voice: Voice) -> None:
        """Raises VoiceError where the speaker in use has voices of its own only."""
        speaking = service.engine.model.speaking
        if isinstance(speaking, FixedVoices):
            speaking.check(voice)

    body = {
        "required": True,
        "content": {
            "application/json": {"schema": PromptVoice.model_json_schema()},
            "multipart/form-data": {"schema": SAMPLE_SCHEMA},
        },
    }

    @routes.post(
        "/voices", summary="Make a voice", openapi_extra={"requestBody": body}, response_model_exclude_none=True
    )
    async def create_voice(request: Request, response: Response) -> VoiceObject:
        """From words (JSON, ``type: prompt``), or from a clip and the id of a consent (multipart)."""
        if request.headers.get("content-type", "").startswith("application/json"):
            try:
                data = await request.json()
            except (ValueError, RecursionError) as error:
                raise Problem("The body is not JSON.", "invalid_json") from error
        else:
            data = dict(await request.form())
        if isinstance(data, dict) and data.get("type", "audio_sample") == "prompt":
            try:
                wanted = PromptVoice.model_validate(data)
            except ValidationError as error:
                raise problem_of(error.errors(), data) from error
            check(Voice.described(wanted.prompt))
            return _voice(await run_in_threadpool(store.add_voice, wanted.name, prompt=wanted.prompt))
        if not isinstance(data, dict) or data.get("type", "audio_sample") != "audio_sample":
            raise Problem("'type' is 'prompt' or 'audio_sample'.", "invalid_value", "type")
        name, consent, sample = data.get("name"), data.get("consent"), data.get("audio_sample")
        if not isinstance(name, str) or not 0 < len(name) <= 256:
            raise Problem("Missing required parameter: 'name'.", "missing_required_parameter", "name")
        if not isinstance(sample, Upload):
            raise Problem("Missing required parameter: 'audio_sample'.", "missing_required_parameter", "audio_sample")
        if not isinstance(consent, str) or store.consent(consent) is None:
            raise ConsentError(
                "A voice from a clip needs the consent of its owner: record them agreeing, send that to "
                "/v1/audio/voice_consents, and give the id it answers as 'consent'."
            )
        recording = await clip_of(sample, "audio_sample", most, response)
        await run_in_threadpool(imitate, recording, consent)
        return _voice(await run_in_threadpool(store.add_voice, name, sample=recording, consent=consent))

    @routes.get("/voices", summary="All voices", response_model_exclude_none=True)
    async def voices() -> VoiceList:
        """Voices of one's own, and the presets."""
        own = [_voice(record) for record in store.voices()]
        presets = service.voice_names()
        named = [VoiceName(id=name, name=name) for name in presets]
        if not isinstance(service.engine.model.speaking, FixedVoices):  # else nobody can speak in them
            named += [VoiceName(id=voice.id, name=voice.name) for voice in own]
        return VoiceList(data=own, presets=list(presets), voices=named)

    @routes.get("/voices/{voice_id}", summary="One voice", response_model_exclude_none=True)
    async def voice(voice_id: str) -> VoiceObject:
        """What is known of a voice."""
        return _voice(found(store.voice(voice_id), "voice", voice_id))

    @routes.delete("/voices/{voice_id}", summary="Forget a voice")
    async def delete_voice(voice_id: str) -> Deleted:
        """The clip is deleted with it."""
        found(store.delete_voice(voice_id), "voice", voice_id)
        return Deleted(id=voice_id, object="audio.voice.deleted", deleted=True)

    return routes


SAMPLE_SCHEMA = {
    "type": "object",
    "required": ["name", "audio_sample", "consent"],
    "properties": {
        "type": {"type": "string", "enum": ["audio_sample"]},
        "name": {"type": "string", "minLength": 1, "maxLength": 256},
        "audio_sample": {"type": "string", "format": "binary"},
        "consent": {"type": "string"},
    },
}
