"""Whatever tools a client declares, served by a mind that was taught one.

The mind understands an order in the terms of the character's own tool, whatever the client calls it. `Declared` offers
it that tool, reads the calls of earlier turns back into its terms, and writes what was understood into the client's
schema (`foreign`). A required place for which nothing was said is asked for; the answer completes the order.
Tools that have nothing to do with the character's are called when the user's words leave no doubt. Nothing is kept
between replies: a question that is still open is found again from the dialogue.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Final

from vivavoce.core.talk import Call, Say, Tool
from vivavoce.data.orders import Order as Ordered
from vivavoce.data.orders import Orders
from vivavoce.data.sheet import Sheet
from vivavoce.models.mind import Exchange, plain_words
from vivavoce.systems.mini.foreign import Filled, Form
from vivavoce.systems.mini.mind import Mind, MindContext, MindEvent, grammar_of
from vivavoce.systems.mini.slot_values import Order
from vivavoce.systems.mini.spots import EACH, Spot, SpotPath, words_of
from vivavoce.text.json_text import written

_CLEAR: Final = 2.0
_OPEN: Final = 4
_ASKING: Final = frozenset("what which how who why where when do does is are".split())
Worded = Callable[..., str]
"""A sentence of the character: the place of its templates in the sheet, and what fills them."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked for and not answered yet: by which tool, with what was understood, and the user's turns since."""

    form: Form
    orders: tuple[Order, ...]
    turns: tuple[tuple[str, ...], ...]
    texts: tuple[str, ...]
    spot: Spot | None


class Declared:
    """Answers as `Mind` does, with any tools; several threads may ask at once."""

    def __init__(self, mind: Mind, sheet: Sheet) -> None:
        self.mind, self.sheet = mind, sheet
        tool = sheet.tool
        self.own = Tool(name=tool.name, description=tool.description, parameters=tool.schema())
        self.orders = Orders(sheet)
        self._understood = lru_cache(256)(self._understand)
        self._form = cache(self._make_form)

    def respond(self, context: MindContext, wording: Worded, **more: Any) -> Iterator[MindEvent]:
        """The reply, piece by piece. Raises ToolError as `Mind.respond`."""
        for tool in context.tools:
            grammar_of(tool)
        forms = [self._form(tool.name, tool.description, json.dumps(tool.parameters)) for tool in context.tools]
        own = next((tool for tool in context.tools if self._is_own(tool)), None)
        forms = [form for form in forms if own is None or form.name != own.name]
        if not forms or context.tool_choice == "none" or (own and context.tool_choice == own.name):
            yield from self.mind.respond(replace(context, history=self._kept(context.history)), **more)
            return
        forced = context.tool_choice if context.tool_choice != "auto" else ""
        if forced and forced != "required":
            if not any(form.name == forced for form in forms):
                yield from self.mind.respond(context, **more)  # says that it is not declared
                return
            forms, own = [form for form in forms if form.name == forced], None
        server = None if own else max(forms, key=lambda form: form.serves)
        server = server if server and server.serves else None
        history, question, earlier = self._read(context.history, server, forms)
        offered = (self.own,) if own or server else ()
        asked = replace(context, history=history, tools=offered, tool_choice="auto")
        if question and (answered := self._answered(question, context, earlier, wording)):
            yield from answered
            return
        events = self.mind.respond(asked, **more)
        calls, events = _leading(events)
        words = tuple(plain_words(context.user))
        if calls and own:
            yield from chain(calls, events)
            return
        if calls and server:
            orders = [self._said(order, words, history) for order in map(_strings, calls)]
            turns, texts = ((words,), (context.user,))
            if self._opens(words) and self.sheet.tool.item in server.understood(words):  # an order of its own
                earlier = {path: value for path, value in earlier.items() if server.owners.get(path) is None}
                numbers = {spot.path for spot in server.spots if spot.kind != "string"}
                earlier = {path: value for path, value in earlier.items() if path not in numbers}
            if question and question.form is server and question.orders:
                turns, texts = (*question.turns, words), (*question.texts, context.user)
            made = self._calls(server, orders, turns, texts, earlier, bool(forced))
            if isinstance(made, Spot):
                yield Say(self._question(made, server, wording))
                return
            yield from made
            other = self._another_item(server, orders, made)
            if other:
                yield Say(wording("replies", "order", order=other, price=other))
                return
            yield from events
            return
        if made := self._others(forms, server, words, context.user, wording, forced, asked):
            yield from made
            return
        if forced == "required" and own:
            yield from self.mind.respond(replace(asked, tool_choice=own.name), **more)
            return
        if forced:
            yield from self._forced(forms, words, context, **more)
            return
        yield from events

    # ---- the dialogue so far ----

    def _is_own(self, tool: Tool) -> bool:
        """Whether a tool is the one that the mind was taught, listed values and all."""
        given, known = tool.parameters.get("properties", {}), self.own.parameters["properties"]
        return (
            tool.name == self.own.name
            and set(given) == set(known)
            and all(isinstance(given[n], Mapping) and given[n].get("enum") == known[n].get("enum") for n in known)
        )

    def _make_form(self, name: str, description: str, parameters: str) -> Form:
        return Form(name, description, json.loads(parameters), self.sheet)

    def _kept(self, history: Sequence[Exchange]) -> tuple[Exchange, ...]:
        """The past with the calls of the mind's own tool only."""
        return tuple(
            replace(exchange, calls=tuple(call for call in exchange.calls if call.name == self.own.name))
            for exchange in history
        )

    def _read(
        self, history: Sequence[Exchange], server: Form | None, forms: Sequence[Form]
    ) -> tuple[tuple[Exchange, ...], _Question | None, dict[SpotPath, Any]]:
        """The past in the mind's terms, the question that is open at its end, and what the last call held besides."""
        found: list[Exchange] = []
        question: _Question | None = None
        earlier: dict[SpotPath, Any] = {}
        for place, exchange in enumerate(history):
            calls: list[Call] = []
            for call in exchange.calls:
                if server and call.name == server.name:
                    orders, earlier = server.back(_json(call))
                    calls += (Call(self.own.name, json.dumps(order)) for order in orders)
                elif call.name == self.own.name and not server:
                    calls.append(call)
            opened = not exchange.calls and exchange.reply.rstrip().endswith("?") and not exchange.cut
            if opened and place >= len(history) - _OPEN:
                question = self._opened(tuple(found), exchange, server, forms, question, earlier)
                if question and question.orders:
                    calls = [Call(self.own.name, json.dumps(dict(order))) for order in question.orders]
            else:
                question = None
            found.append(replace(exchange, calls=tuple(calls)))
        return tuple(found), question, earlier

    def _opened(
        self,
        history: tuple[Exchange, ...],
        exchange: Exchange,
        server: Form | None,
        forms: Sequence[Form],
        before: _Question | None,
        earlier: Mapping[SpotPath, Any],
    ) -> _Question | None:
        """The question that a reply asked, if it was one of ours."""
        words = tuple(plain_words(exchange.user))
        if before and (continued := self._continued(before, words, exchange.user, earlier)):
            orders, filled = continued
            turns, texts = (*before.turns, words), (*before.texts, exchange.user)
            return _Question(before.form, orders, turns, texts, filled.missing) if filled.missing else None
        if server and (calls := self._understood(history, exchange.user)):
            orders = tuple(_strings(call) for call in calls)
            filled = server.fill(orders, (words,), earlier)
            return _Question(server, orders, (words,), (exchange.user,), filled.missing) if filled.missing else None
        for form in forms:
            if form is not server and form.wanted(words) and (missing := form.fill((), (words,)).missing):
                return _Question(form, (), (words,), (exchange.user,), missing)
        return None

    def _understand(self, history: tuple[Exchange, ...], user: str) -> tuple[Call, ...]:
        """The orders that the mind hears in somebody's words."""
        calls, _ = _leading(self.mind.respond(MindContext(history=history, user=user, tools=(self.own,))))
        return tuple(calls)

    # ---- an open question ----

    def _continued(
        self, question: _Question, words: tuple[str, ...], text: str, earlier: Mapping[SpotPath, Any]
    ) -> tuple[tuple[Order, ...], Filled] | None:
        """What the answer to a question adds; None where it adds nothing or is another order."""
        form, spot = question.form, question.spot
        if not words or words[0] in _ASKING or form.only_names(words):
            return None
        if not question.orders and form.understood(words):
            return None
        heard = form.understood(words) if question.orders else {}
        item = self.sheet.tool.item
        if item in heard and any(order.get(item) != heard[item] for order in question.orders):
            return None
        orders = tuple({**order, **heard} for order in question.orders)
        before = form.fill(question.orders, question.turns, earlier)
        after = form.fill(orders, (*question.turns, words), earlier, answering=None if heard else spot)
        if after.arguments == before.arguments:
            return None
        return orders, after

    def _answered(
        self, question: _Question, context: MindContext, earlier: Mapping[SpotPath, Any], wording: Worded
    ) -> list[MindEvent] | None:
        words = tuple(plain_words(context.user))
        continued = self._continued(question, words, context.user, earlier)
        if continued is None:
            return None
        orders, filled = continued
        if filled.missing is not None:
            return [Say(self._question(filled.missing, question.form, wording))]
        turns, texts = (*question.turns, words), (*question.texts, context.user)
        made = self._calls(question.form, orders, turns, texts, earlier, False, question.spot)
        if isinstance(made, Spot):
            return [Say(self._question(made, question.form, wording))]
        return [*made, *([Say(self._read_back(orders, wording))] if orders else [])]

    def _read_back(self, orders: Sequence[Order], wording: Worded) -> str:
        """The character says what it understood."""
        item = self.sheet.tool.item
        whole = [Ordered(order) for order in orders if item in order]
        said = [self.orders.readback(order) for order in whole]
        prices = [self.orders.price(order) for order in whole] if self.sheet.has("prices") else [0]
        one, many = self.sheet.texts("prices", "currency") if self.sheet.has("prices") else ("", "")

        def money(amount: int) -> str:
            return f"{amount} {one if amount == 1 else many}"

        if len(said) == 2 and self.sheet.has("replies", "two"):
            return wording("replies", "two", order=said[0], second=said[1], total=money(sum(prices)))
        return wording("replies", "order", order=" and ".join(said), price=money(sum(prices))) if said else ""

    def _said(self, order: Order, words: Sequence[str], history: Sequence[Exchange]) -> dict[str, str]:
        """An order without values of which no word was ever said."""
        before = {word for e in history for call in e.calls for v in _strings(call).values() for word in v.split()}
        known = {*words, *before, *(word for e in history for word in plain_words(e.user))}
        neutral = {"a", "of", "some", "lots", "bit", "lot", "little"}
        known |= {word.removesuffix("s") for word in known}
        return {name: value for name, value in order.items() if (set(value.split()) - neutral) & known}

    def _another_item(self, form: Form, orders: Sequence[Order], made: Sequence[MindEvent]) -> str:
        """What was ordered where the tool has something that the character has not."""
        path = next((path for path, name in form.owners.items() if name == self.sheet.tool.item), ())
        calls = [event for event in made if isinstance(event, Call)]
        if not path or len(calls) != 1 or len(orders) != 1:
            return ""
        found = _at(_json(calls[0]), path)
        item = orders[0].get(self.sheet.tool.item, "").split()
        known = isinstance(found, str) and set(words_of(found)) & {*item, *words_of(" ".join(item))}
        return "" if known or not isinstance(found, str) else " ".join(words_of(found))

    def _opens(self, words: Sequence[str]) -> bool:
        """Whether these words begin an order."""
        openings = chain(self.sheet.texts("orders", "openings"), self.sheet.texts("orders", "more_openings"))
        said = f" {' '.join(words)} "
        return any(f" {' '.join(plain_words(opening))} " in said for opening in openings if len(opening.split()) > 1)

    def _question(self, spot: Spot, form: Form, wording: Worded) -> str:
        slot = form.owners.get(spot.path)
        if slot is None and spot.kind in ("integer", "number") and spot.name.endswith("s"):
            return wording("replies", "ask_number", field=spot.name)
        return wording("replies", "ask_field" if slot is None else "ask_slot", field=spot.name or "rest")

    # ---- calls ----

    def _calls(
        self,
        form: Form,
        orders: Sequence[Order],
        turns: Sequence[Sequence[str]],
        texts: Sequence[str],
        earlier: Mapping[SpotPath, Any],
        forced: bool,
        answering: Spot | None = None,
    ) -> list[MindEvent] | Spot:
        """The calls that serve the orders, or the place that has to be asked for."""
        item = next((path for path, name in form.owners.items() if name == self.sheet.tool.item), ())
        groups = [list(orders)] if EACH in item or not orders else [[order] for order in orders]
        made: list[MindEvent] = []
        for group in groups:
            filled = form.fill(group, turns, earlier, answering)
            text = written(_as_written(filled.arguments, form, texts))
            if filled.missing is not None or not grammar_of(form).accepts(text):
                if not forced:
                    return filled.missing or Spot(path=(), kind="string", words=("rest",))
                least = form.forced(filled)
                if least is None:
                    continue
                text = least
            made.append(Call(form.name, text.decode()))
        return made

    def _others(
        self, forms: Sequence[Form], server: Form | None, words: tuple[str, ...], user: str, wording: Worded,
        forced: str, asked: MindContext,
    ) -> list[MindEvent]:  # fmt: skip
        """A call of a tool that is not the mind's, or a question for what it lacks, where the words are clear."""
        heard = {form.name: form.understood(words) if form.owners else {} for form in forms}
        tried = [(form, form.fill([heard[form.name]] if heard[form.name] else (), (words,))) for form in forms]
        rated = [(self._clear(form, filled, words, form is server), form, filled) for form, filled in tried]
        for clear, form, filled in sorted(rated, key=lambda entry: -entry[0]):
            if clear < (_CLEAR if not forced else 0.5):
                break
            if filled.missing is None:
                text = written(_as_written(filled.arguments, form, (user,)))
                if grammar_of(form).accepts(text):
                    return [Call(form.name, text.decode())]
            elif form is not server and form.wanted(words) and not forced:
                return [Say(self._question(filled.missing, form, wording))]
        return []

    def _clear(self, form: Form, filled: Filled, words: Sequence[str], serves: bool) -> float:
        """How clear it is that a tool is wanted; one that serves orders also by the words that open an order."""
        clear = form.clarity(words, filled)
        if serves:
            item = [path for path, name in form.owners.items() if name == self.sheet.tool.item]
            return _CLEAR if self._opens(words) and any(_at(filled.arguments, path) for path in item) else 0.0
        return clear

    def _forced(
        self, forms: Sequence[Form], words: tuple[str, ...], context: MindContext, **more: Any
    ) -> Iterator[MindEvent]:
        """A call that has to be made although nothing speaks for it; as empty as the schema allows."""
        form = max(forms, key=lambda form: (form.clarity(words, form.fill((), (words,))), form.serves))
        filled = form.fill((), (words,))
        text = form.forced(replace(filled, arguments=_as_written(filled.arguments, form, (context.user,))))
        if text is not None:
            yield Call(form.name, text.decode())
            return
        yield from self.mind.respond(replace(context, history=(), tool_choice=form.name), **more)


def _leading(events: Iterator[MindEvent]) -> tuple[list[Call], Iterator[MindEvent]]:
    """The calls at the beginning, and the rest."""
    calls: list[Call] = []
    for event in events:
        if not isinstance(event, Call):
            return calls, chain([event], events)
        calls.append(event)
    return calls, iter(())


def _json(call: Call) -> Any:
    try:
        return json.loads(call.arguments or "{}")
    except ValueError:
        return {}


def _strings(call: Call) -> dict[str, str]:
    made = _json(call)
    return {key: value for key, value in made.items() if isinstance(value, str)} if isinstance(made, dict) else {}


def _at(arguments: Any, path: SpotPath) -> Any:
    for key in path:
        if key == EACH:
            arguments = arguments[0] if isinstance(arguments, list) and arguments else None
        else:
            arguments = arguments.get(key) if isinstance(arguments, dict) else None
    return arguments


def _as_written(arguments: Any, form: Form, texts: Sequence[str]) -> Any:
    """Free texts that no slot filled, in the user's own spelling: "Bob" where "Bob" was typed."""
    free = {spot.path for spot in form.spots if not spot.options and form.owners.get(spot.path) is None}

    def spelt(value: Any, path: SpotPath) -> Any:
        if isinstance(value, dict):
            return {key: spelt(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            each = path if path in free else (*path, EACH)
            return [spelt(inner, each) for inner in value]
        if isinstance(value, str) and path in free and value:
            pattern = re.compile(r"(?<!\w)" + r"\s+".join(map(re.escape, value.split())) + r"(?!\w)", re.IGNORECASE)
            return next((found[0] for text in reversed(texts) if (found := pattern.search(text))), value)
        return value

    return spelt(arguments, ())
