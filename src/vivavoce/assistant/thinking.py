"""Thinking for the runtime: a conversation's entries become the dialogue that the mind reads, and back."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from vivavoce.assistant.ending import sureness
from vivavoce.assistant.impression import impression
from vivavoce.core.rng import stream
from vivavoce.core.voice import Voice
from vivavoce.data.character import sentence_case
from vivavoce.data.sheet import load_sheet
from vivavoce.data.templates import fill, pick
from vivavoce.generate.samplers import GREEDY, Sampler
from vivavoce.models.mind import Call as Called
from vivavoce.models.mind import Exchange, MindModel
from vivavoce.runtime.history import Entry
from vivavoce.runtime.model import Call, Context, Restyle, Say, Tool
from vivavoce.systems.mind import Mind, MindContext, Style
from vivavoce.systems.mind import Say as Said
from vivavoce.systems.mind import Tool as MindTool

_SURE, _UNDERSTOOD = 0.22, 0.06
"""Geometric means of the words' confidence: below the first no tool is called, below the second the clerk asks again.
Half of all sentences that no customer would say are heard with less than 0.35, orders with more (docs/log.md)."""
_SOUND = frozenset("sound sounds voice hear heard".split())
"""The mind was taught what a voice sounds like only where somebody asks; it is measured when one of these is said."""


class Clerk:
    """The mind of the default character."""

    def __init__(self, model: MindModel, sampler: Sampler = GREEDY) -> None:
        """Keeps nothing between replies."""
        self.mind = Mind(model)
        self.sampler = sampler
        self.sheet = load_sheet()
        tool = self.sheet.tool
        self.tools = (Tool(name=tool.name, description=tool.description, parameters=tool.schema()),)

    def respond(self, context: Context) -> Iterator[Say | Call | Restyle]:
        """The reply to the last entry, piece by piece."""
        *past, now = exchanges(context.entries)
        last = next((entry for entry in reversed(context.entries) if entry.role == "user"), None)
        heard: tuple[str, ...] = ()
        if last is not None and last.audio is not None and _SOUND & set(now.user.lower().replace("?", "").split()):
            heard = impression(last.audio.astype(np.float32) / 32768, last.words) or ()
        draw = stream(context.seed, "mind")
        sure = 1.0
        if now.user and last is not None and last.words:
            sure = sureness([word.confidence for word in last.words])
        if sure < _UNDERSTOOD:
            yield Say(sentence_case(fill(pick(self.sheet.texts("nonsense"), draw), {}, draw)))
            return
        asked = MindContext(
            history=tuple(past),
            user=now.user,
            results=now.results,
            tools=tuple(
                MindTool(name=t.name, description=t.description, parameters=t.parameters) for t in context.tools
            ),
            tool_choice="none" if sure < _SURE and context.tool_choice == "auto" else context.tool_choice,
            heard=heard,
            instructions=context.instructions if not now.user else "",
        )
        for event in self.mind.respond(asked, sampler=self.sampler, uniforms=lambda: float(draw.random())):
            if isinstance(event, Said):
                yield Say(event.text)
            elif isinstance(event, Style):
                yield Restyle(restyled(context.voice, event.words))
            else:
                yield Call(event.name, event.arguments)


def restyled(voice: Voice, words: str) -> Voice:
    """A voice told to sound like these words on top of what it is; ``normal`` takes that back."""
    base, _, _ = voice.description.partition(" | ")
    return replace(voice, description=base if words in ("normal", "default") else f"{base} | {words}".strip())


def exchanges(entries: tuple[Entry, ...]) -> list[Exchange]:
    """Entries as turns of the dialogue; the last one is what is to be answered."""
    found: list[Exchange] = [Exchange()]
    answered = False
    for entry in entries:
        if entry.role == "system":
            continue
        now = found[-1]
        if entry.kind == "call":
            found[-1] = replace(now, calls=(*now.calls, Called(entry.name, entry.arguments)))
            answered = True
        elif entry.kind == "message" and entry.role == "assistant":
            joined = f"{now.reply} {entry.text}".strip()
            found[-1] = replace(now, reply=joined, cut=entry.status == "incomplete")
            answered = True
        else:
            if answered:
                found.append(Exchange())
                answered, now = False, found[-1]
            if entry.kind == "result":
                found[-1] = replace(now, results=(*now.results, entry.output))
            else:
                found[-1] = replace(now, user=f"{now.user} {entry.text}".strip())
    if answered:
        found.append(Exchange())
    return found
