"""`/character.json`, `/character.css` and `/character.svg`: who is spoken with on the page, and whose models those are.

The tools are those of the model's file, or the character's own as its sheet has them. Where another mind thinks, it is
an assistant for everything.
"""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from vivavoce.assistant.described import ModelFile
from vivavoce.core.voice import STOCK
from vivavoce.data.page import GENERAL, Page, load_page
from vivavoce.data.sheet import find_sheet
from vivavoce.runtime.model import Abilities, FixedVoices, Used
from vivavoce.server.service import Service


class FunctionObject(BaseModel):
    """A function as a session declares it."""

    type: Literal["function"] = "function"
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class PartObject(BaseModel):
    """Who hears, thinks or speaks, and under which licence."""

    role: Literal["ears", "mind", "speaker"]
    name: str
    licence: str
    credit: str


class PageObject(BaseModel):
    """What the page says and shows."""

    name: str
    title: str
    motto: str
    states: dict[str, str]
    invitation: str
    text: str
    ideas: list[str]
    slips: str
    nothing: str
    labels: dict[str, str]
    voice: str
    lane: str
    sign: str


class CharacterObject(BaseModel):
    """A character, what it can do, its page, and whose models it is made of."""

    name: str
    persona: str
    voice: str
    tools: list[FunctionObject]
    page: PageObject
    fixed_voices: bool = False
    parts: list[PartObject] = []


def page_of(described: ModelFile) -> Page:
    """The page of a model: its character's, or that of another one which its file names."""
    path = find_sheet(described.page or described.character, described.folder)
    return load_page(described.sheet, path.parent)


def character_of(described: ModelFile) -> CharacterObject:
    """What the page has to know of a model."""
    sheet = described.sheet
    own = {"name": sheet.tool.name, "description": sheet.tool.description, "parameters": sheet.tool.schema()}
    tools = [FunctionObject(**tool) for tool in (described.tools if described.tools is not None else (own,))]
    voice = described.voice or sheet.voice
    return CharacterObject(
        name=sheet.name, persona=sheet.persona, voice=voice, tools=tools, page=_shown(page_of(described))
    )


def assistant_of(described: ModelFile) -> CharacterObject:
    """The assistant for everything that another mind is."""
    tools = [FunctionObject(**tool) for tool in described.tools or ()]
    voice = described.voice or STOCK["marin"]
    return CharacterObject(name="assistant", persona="", voice=voice, tools=tools, page=_shown(GENERAL))


def _shown(page: Page) -> PageObject:
    return PageObject(**{name: getattr(page, name) for name in PageObject.model_fields})


def _part(used: Used) -> PartObject:
    return PartObject(role=used.role, name=used.name, licence=used.licence, credit=used.credit)


def _general(model: Abilities) -> bool:
    return any(part.role == "mind" and not part.own for part in model.used)


def router(service: Service, described: ModelFile) -> APIRouter:
    """The endpoints."""
    routes = APIRouter(tags=["page"])
    model = service.engine.model
    character = assistant_of(described) if _general(model) else character_of(described)
    page = GENERAL if _general(model) else page_of(described)
    if isinstance(model.speaking, FixedVoices):
        character.fixed_voices, character.voice = True, "default"
    character.parts = [_part(part) for part in model.used]

    @routes.get("/character.json", summary="The character that the page talks to")
    async def given() -> CharacterObject:
        """Its name, its voice, the functions to declare in a session, what the page shows, and whose models are in
        use."""
        return character

    @routes.get("/character.css", include_in_schema=False)
    async def look() -> Response:
        return Response(page.look, media_type="text/css")

    @routes.get("/character.svg", include_in_schema=False)
    async def icon() -> Response:
        return Response(page.icon, media_type="image/svg+xml")

    return routes
