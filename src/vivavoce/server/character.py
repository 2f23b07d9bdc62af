"""`/character.json`: who is spoken to on the web page, and who hears, thinks and speaks for it."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from vivavoce.core.voice import STOCK
from vivavoce.data.sheet import Sheet, load_sheet
from vivavoce.runtime.model import FixedVoices, Used
from vivavoce.server.service import Service


class FunctionObject(BaseModel):
    """A function as a session declares it."""

    type: Literal["function"] = "function"
    name: str
    description: str
    parameters: dict[str, Any]


class PartObject(BaseModel):
    """Who hears, thinks or speaks, and under which licence."""

    role: Literal["ears", "mind", "speaker"]
    name: str
    licence: str
    credit: str


class CharacterObject(BaseModel):
    """A character and what it can do. ``general``: it is an assistant for everything and keeps no tavern."""

    name: str
    persona: str
    voice: str
    tools: list[FunctionObject]
    general: bool = False
    fixed_voices: bool = False
    parts: list[PartObject] = []


def character_of(sheet: Sheet) -> CharacterObject:
    """What the page has to know of a character sheet."""
    tool = FunctionObject(name=sheet.tool.name, description=sheet.tool.description, parameters=sheet.tool.schema())
    return CharacterObject(name=sheet.name, persona=sheet.persona, voice=sheet.voice, tools=[tool])


def page_of(service: Service) -> CharacterObject:
    """Whom the page shows: the sheet's character, or where another mind thinks an assistant for everything."""
    model = service.engine.model
    found = character_of(load_sheet())
    if any(part.role == "mind" and not part.own for part in model.used):
        found = CharacterObject(name="assistant", persona="", voice=STOCK["marin"], tools=[], general=True)
    if isinstance(model.speaking, FixedVoices):
        found.fixed_voices, found.voice = True, "default"
    found.parts = [_part(part) for part in model.used]
    return found


def _part(used: Used) -> PartObject:
    return PartObject(role=used.role, name=used.name, licence=used.licence, credit=used.credit)


def router(service: Service) -> APIRouter:
    """The endpoint."""
    routes = APIRouter(tags=["page"])

    @routes.get("/character.json", summary="The character that the page talks to")
    async def character() -> CharacterObject:
        """Its name, its voice, the functions to declare in a session, and whose models are in use."""
        return page_of(service)

    return routes
