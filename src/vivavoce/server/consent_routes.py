"""`/v1/audio/voice_consents`: who agreed that their voice is imitated."""

from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, Response, UploadFile
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from vivavoce.server.replies import ERRORS
from vivavoce.server.service import Service
from vivavoce.server.voice_routes import Deleted, clip_of, found
from vivavoce.server.voices import ConsentRecord


class ConsentObject(BaseModel):
    """That somebody agreed to be imitated."""

    id: str
    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    created_at: int
    name: str
    language: str


class ConsentList(BaseModel):
    """All consents, newest first."""

    object: Literal["list"] = "list"
    data: list[ConsentObject]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool


class Rename(BaseModel):
    """Another name for a consent."""

    name: str = Field(min_length=1, max_length=256)


def _consent(record: ConsentRecord) -> ConsentObject:
    return ConsentObject(id=record.id, created_at=record.created, name=record.name, language=record.language)


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1/audio", tags=["voices"], responses=ERRORS)
    store, most = service.voices, service.settings.upload_bytes

    @routes.post("/voice_consents", summary="Write a consent down")
    async def create_consent(
        name: Annotated[str, Form(min_length=1, max_length=256)],
        language: Annotated[str, Form(min_length=2, max_length=16)],
        recording: Annotated[UploadFile, File(description="The person saying that they agree")],
        response: Response,
    ) -> ConsentObject:
        """Keeps the recording in which somebody agrees that their voice is imitated."""
        data = await clip_of(recording, "recording", most, response)
        return _consent(await run_in_threadpool(store.add_consent, name, language, data))

    @routes.get("/voice_consents", summary="All consents", response_model_exclude_none=True)
    async def consents(after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> ConsentList:
        """Newest first, a page at a time."""
        records = store.consents()
        if after is not None:
            places = [index for index, record in enumerate(records) if record.id == after]
            records = records[places[0] + 1 :] if places else []
        page = [_consent(record) for record in records[:limit]]
        return ConsentList(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(records) > limit,
        )

    @routes.get("/voice_consents/{consent_id}", summary="One consent")
    async def consent(consent_id: str) -> ConsentObject:
        """What is known of a consent."""
        return _consent(found(store.consent(consent_id), "consent", consent_id))

    @routes.post("/voice_consents/{consent_id}", summary="Rename a consent")
    async def rename_consent(consent_id: str, change: Rename) -> ConsentObject:
        """Gives it another name."""
        return _consent(found(store.rename_consent(consent_id, change.name), "consent", consent_id))

    @routes.delete("/voice_consents/{consent_id}", summary="Withdraw a consent")
    async def delete_consent(consent_id: str) -> Deleted:
        """The voices that rest on it are deleted too."""
        found(store.delete_consent(consent_id), "consent", consent_id)
        return Deleted(id=consent_id, object="audio.voice_consent", deleted=True)

    return routes
