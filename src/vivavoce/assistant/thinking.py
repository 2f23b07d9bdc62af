"""Thinking for the runtime: a conversation's entries become the dialogue that the mind reads, and back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from vivavoce.assistant.ending import sureness
from vivavoce.assistant.impression import impression
from vivavoce.assistant.instructions import Directive, asked_of_us, asks_for_name, directives, persona_name, reads_aloud
from vivavoce.assistant.outcome import Outcome, outcome
from vivavoce.audio.pcm import to_float
from vivavoce.core.rng import stream
from vivavoce.core.talk import Call, Entry, Restyle, Say, Tool, as_known
from vivavoce.core.voice import Voice
from vivavoce.data.character import sentence_case
from vivavoce.data.sheet import Sheet, load_sheet
from vivavoce.data.templates import fill, pick
from vivavoce.generate.samplers import GREEDY, Sampler
from vivavoce.models.mind import Exchange, MindModel
from vivavoce.runtime.model import Context
from vivavoce.systems.mini.declared import Declared
from vivavoce.systems.mini.grounding import Forms
from vivavoce.systems.mini.mind import Mind, MindContext, MindEvent, Style

_SURE, _UNDERSTOOD = 0.22, 0.06
"""Geometric means of the words' confidence: below the first no tool is called, below the second the clerk asks again.
Half of all sentences that no customer would say are heard with less than 0.35, orders with more (docs/log.md)."""
_SOUND = frozenset("sound sounds voice hear heard".split())
"""The mind was taught what a voice sounds like only where somebody asks; it is measured when one of these is said."""


class CharacterMind:
    """The mind of a character."""

    def __init__(self, model: MindModel, sheet: Sheet | None = None, sampler: Sampler = GREEDY) -> None:
        """``sheet`` is the character's that the mind was trained for, the default one's where left out. Keeps nothing
        between replies."""
        self.sheet = sheet or load_sheet()
        self.mind = Mind(model, Forms.of(self.sheet.tool))
        self.sampler = sampler
        self.declared = Declared(self.mind, self.sheet)
        tool = self.sheet.tool
        self.tools = (Tool(name=tool.name, description=tool.description, parameters=tool.schema()),)

    def respond(self, context: Context) -> Iterator[Say | Call | Restyle]:
        """The reply to the last entry, piece by piece."""
        *past, now = exchanges(context.entries)
        draw = stream(context.seed, "mind")
        forced = context.tool_choice not in ("auto", "none")
        topic = ""
        if not forced:
            wanted = directives(context.request or _last_request(context.entries))
            topic = " ".join(part.text for part in wanted if part.kind == "topic")
            text = self._unasked(context, past, now, wanted, draw)
            if text:
                yield Say(text)
                return
        last = next((entry for entry in reversed(context.entries) if entry.role == "user"), None)
        heard: tuple[str, ...] = ()
        if last is not None and last.audio is not None and _SOUND & set(now.user.lower().replace("?", "").split()):
            heard = impression(to_float(last.audio), last.words) or ()
        sure = 1.0
        if now.user and last is not None and last.words:
            sure = sureness([word.confidence for word in last.words])
        if sure < _UNDERSTOOD:
            yield Say(self._drawn(("nonsense",), draw))
            return
        asked = MindContext(
            history=tuple(_readable(past)),
            user=now.user or f"tell me {topic}",
            tools=context.tools,
            tool_choice="none" if sure < _SURE and context.tool_choice == "auto" else context.tool_choice,
            heard=heard,
        )

        def wording(*path: str, **values: str) -> str:
            return self._drawn(path, draw, **values)

        uniforms = lambda: float(draw.random())  # noqa: E731
        events = self.declared.respond(asked, wording, sampler=self.sampler, uniforms=uniforms)
        if past and past[-1].cut and not past[-1].reply:
            events = self._honest(events, draw)
        for event in events:
            yield Restyle(restyled(context.voice, event.words)) if isinstance(event, Style) else event

    # ---- what needs no understanding of the user's words ----

    def _unasked(
        self,
        context: Context,
        past: Sequence[Exchange],
        now: Exchange,
        wanted: Sequence[Directive],
        draw: np.random.Generator,
    ) -> str:
        """What was asked for by instructions, or is to be said of results or where nobody said anything; else empty."""
        if now.user and reads_aloud(context.instructions):
            return now.user
        if text := self._carried_out(wanted, context.instructions, draw):
            return text
        if now.results:
            called = next((exchange.calls for exchange in reversed(past) if exchange.calls), ())
            return self._reported(outcome(now.results, (call.arguments for call in called)), draw)
        if now.user:
            name = persona_name(context.instructions) if asks_for_name(now.user) else None
            return self._drawn(("replies", "named"), draw, name=name) if name else ""
        if any(part.kind == "topic" for part in wanted):
            return ""
        if context.entries and context.entries[-1].role == "user":  # a turn without words
            return self._drawn(("nonsense",), draw)
        if past:
            return self._drawn(("replies", "offer"), draw)
        opening = [part for part in directives(context.instructions) if part.kind in ("say", "greet", "introduce")]
        return self._carried_out(opening or [Directive("greet")], context.instructions, draw)

    def _carried_out(self, wanted: Sequence[Directive], instructions: str, draw: np.random.Generator) -> str:
        """The sentences that were asked for; a greeting that is followed by something else asks nothing itself."""
        sentences: list[str] = []
        for place, part in enumerate(wanted):
            match part.kind:
                case "say":
                    sentences.append(part.text)
                case "greet":
                    text = self._talk("greeting", draw)
                    whole = not any(later.kind not in ("greet", "offer") for later in wanted[place + 1 :])
                    sentences.append(text if whole else re.split(r"(?<=[.!])\s", text)[0])
                case "introduce":
                    name = persona_name(instructions)
                    named = self._drawn(("replies", "named"), draw, name=name) if name else self._talk("who", draw)
                    sentences.append(named)
                case "offer":
                    if not sentences or not sentences[-1].endswith("?"):
                        sentences.append(self._drawn(("replies", "offer"), draw))
                case "goodbye":
                    sentences.append(self._talk("goodbye", draw))
                case "thank":
                    sentences.append(self._drawn(("replies", "thank"), draw))
                case "apologise":
                    sentences.append(self._drawn(("replies", "sorry"), draw))
                case "topic":
                    pass
        return " ".join(sentences)

    def _reported(self, found: Outcome, draw: np.random.Generator) -> str:
        """One short sentence about what tools gave back."""
        if not found.facts:
            return self._drawn(("replies", "served" if found.worked else "failed"), draw)
        text = self._drawn(("replies", "told" if found.worked else "failed_because"), draw, said="\0")
        return text.replace("\0", found.facts) + "."

    def _honest(self, events: Iterator[MindEvent], draw: np.random.Generator) -> Iterator[MindEvent]:
        """A reply of which nothing was heard is not quoted."""
        begun = ""
        quotes = tuple(template.partition("{")[0].strip() for template in self.sheet.texts("replies", "i_said"))
        for event in events:
            if not isinstance(event, Say):
                yield event
                continue
            if not begun and event.text.strip().startswith(quotes):
                yield Say(self._drawn(("replies", "i_said_unheard"), draw))
                return
            begun += event.text
            yield event

    def _talk(self, kind: str, draw: np.random.Generator) -> str:
        replies = (topic["reply"] for topic in self.sheet.at("talk") if topic["kind"] == kind)
        return sentence_case(fill(pick(next(replies, self.sheet.texts("replies", "offer")), draw), {}, draw))

    def _drawn(self, path: tuple[str, ...], draw: np.random.Generator, **values: str) -> str:
        return sentence_case(fill(pick(self.sheet.texts(*path), draw), values, draw))


def _last_request(entries: Sequence[Entry]) -> str:
    """What the client's own messages say since anybody spoke.

    Some clients can only write as the user: pipecat opens with a user's message "Greet the user.".
    """
    last = entries[-1] if entries else None
    if last and last.role == "user" and last.kind == "message" and not last.spoken and asked_of_us(last.text):
        return last.text
    texts: list[str] = []
    for entry in reversed(entries):
        if entry.role != "system":
            break
        texts.insert(0, entry.text)
    return "\n".join(texts)


def _readable(past: Sequence[Exchange]) -> list[Exchange]:
    """The past as the mind was taught to read it: every call is followed by its reply, results are in few words, and
    those that were not told to the end are left out."""
    found: list[Exchange] = []
    for exchange in past:
        if exchange.results and not exchange.user:
            if exchange.cut or not exchange.reply:  # half of "I hear: …" is taken up again whatever was said since
                continue
            if found and found[-1].calls and not found[-1].reply:
                found[-1] = replace(found[-1], reply=exchange.reply, cut=exchange.cut)
                continue
        found.append(replace(exchange, results=tuple(outcome([result]).facts for result in exchange.results)))
    return found


def restyled(voice: Voice, words: str) -> Voice:
    """A voice told to sound like these words on top of what it is; ``normal`` takes that back."""
    base, _, _ = voice.description.partition(" | ")
    return replace(voice, description=base if words in ("normal", "default") else f"{base} | {words}".strip())


def exchanges(entries: Sequence[Entry]) -> list[Exchange]:
    """Entries as turns of the dialogue; the last one is what is to be answered."""
    found: list[Exchange] = [Exchange()]
    answered = False
    for entry in as_known(entries):
        if entry.role == "system":
            continue
        now = found[-1]
        if entry.kind == "call":
            found[-1] = replace(now, calls=(*now.calls, Call(entry.name, entry.arguments)))
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
                if now.user:  # it came late; what was said since is answered
                    found.insert(-1, Exchange(results=(entry.output,)))
                else:
                    found[-1] = replace(now, results=(*now.results, entry.output))
            elif now.results:
                found.append(Exchange(user=entry.text))
            else:
                found[-1] = replace(now, user=f"{now.user} {entry.text}".strip())
    if answered:
        found.append(Exchange())
    return found
