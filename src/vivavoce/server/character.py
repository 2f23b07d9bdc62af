"""`/character.json`: who stands behind the counter, for the web page; the tool's schema is the sheet's own."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from vivavoce.data.sheet import Sheet, load_sheet


class FunctionObject(BaseModel):
    """A function as a session declares it."""

    type: Literal["function"] = "function"
    name: str
    description: str
    parameters: dict[str, Any]


class CharacterObject(BaseModel):
    """A character and what it can do."""

    name: str
    persona: str
    voice: str
    tools: list[FunctionObject]


def character_of(sheet: Sheet) -> CharacterObject:
    """What the page has to know of a character sheet."""
    tool = FunctionObject(name=sheet.tool.name, description=sheet.tool.description, parameters=sheet.tool.schema())
    return CharacterObject(name=sheet.name, persona=sheet.persona, voice=sheet.voice, tools=[tool])


def router() -> APIRouter:
    """The endpoint."""
    routes = APIRouter(tags=["page"])

    @routes.get("/character.json", summary="The character that the page talks to")
    async def character() -> CharacterObject:
        """Its name, its voice and the functions to declare in a session."""
        return character_of(load_sheet())

    return routes
