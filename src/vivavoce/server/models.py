"""`/v1/models`: our model and the names it also answers to."""

from fastapi import APIRouter
from pydantic import BaseModel

from vivavoce.server.names import MODELS, OURS, UnknownModel
from vivavoce.server.replies import ERRORS
from vivavoce.server.service import Service

CREATED = 1_767_225_600


class ModelObject(BaseModel):
    """One model name."""

    id: str
    object: str = "model"
    created: int = CREATED
    owned_by: str = "vivavoce"


class SpeechModel(BaseModel):
    """A model name in the list of those that speak."""

    id: str
    name: str


class SpeechModelList(BaseModel):
    """The names of models that speak, in the shape that other speech servers have agreed on."""

    models: list[SpeechModel]


class ModelList(BaseModel):
    """All model names."""

    object: str = "list"
    data: list[ModelObject]


def names(service: Service) -> list[str]:
    """Ours first, then those of ears, minds and the speaker where they are others', then OpenAI's."""
    ears = [info.name for info in service.ears] if service.ears[0].name != "mini" or len(service.ears) > 1 else []
    minds = service.minds if service.minds != ("mini",) else ()
    stock = (name for group in MODELS.values() for name in group)
    return list(dict.fromkeys((OURS, *ears, *minds, *service.speakers, *stock)))


def router(service: Service) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(prefix="/v1", tags=["models"], responses=ERRORS)

    @routes.get("/models", summary="All model names")
    async def models() -> ModelList:
        """Our model, and OpenAI's names that mean it."""
        return ModelList(data=[ModelObject(id=name) for name in names(service)])

    @routes.get("/models/{model}", summary="One model name")
    async def model(model: str) -> ModelObject:
        """Whether there is a model of this name."""
        if model not in names(service):
            raise UnknownModel(model)
        return ModelObject(id=model)

    @routes.get("/audio/models", summary="The names of models that speak")
    async def speech_models() -> SpeechModelList:
        """For clients that offer a choice of them, such as Open WebUI."""
        speaking = (OURS, *service.speakers, *MODELS["speech"])
        return SpeechModelList(models=[SpeechModel(id=name, name=name) for name in speaking])

    return routes
