"""All orders of what a client may do, to a depth: whatever it does, what it is told makes sense and comes true.

Everything goes through `Session`: inputs in, outputs out. A `Client` knows only what it sent and what it was told.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import jaxtyping
import numpy as np
import pytest

from vivavoce.core.talk import Call, Entry, Say, Thought, Tool
from vivavoce.runtime import api
from vivavoce.runtime.api import ReplyOptions, Session, SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import SYMBOL, fake_model, silence, utter
from vivavoce.runtime.model import Context

KINDS = ("server_vad", "none", "semantic_vad")
SPEECH = utter("a.")
PAUSE = silence(360)
RECORDING = (utter("b.") * 32767).astype(np.int16)
ROWS = 48


def instructed(version: str, kind: str, **more: bool) -> SessionConfig:
    """Settings that can be told from all others."""
    turns = TurnConfig(kind=kind, silence_duration_ms=200)  # type: ignore[arg-type]
    return SessionConfig(instructions=version, turns=turns, tools=(Tool(name="act"),), tag=version, **more)


def heard_of(text: str, samples: int, share: float = 0.5) -> list[str]:
    """The words of an answer of which somebody heard this share at least; a character has a fixed length."""
    words, at = [], 0
    for word in text.split():
        if (at + len(word) * share) * SYMBOL <= samples:
            words.append(word)
        at += len(word) + 1
    return words


@dataclass
class Answer:
    """A reply as far as a client was told of it."""

    out_of_band: bool
    text: str = ""
    samples: int = 0
    over: bool = False
    cut: bool = False
    silenced: bool = False
    items: list[str] = field(default_factory=list)


class Client:
    """Sends, and believes what it is told only as long as it makes sense."""

    def __init__(self, name: str, session: Session, config: SessionConfig) -> None:
        self.name, self.session, self.config = name, session, config
        self.count = itertools.count(1)
        self.items: list[str] = []
        self.entries: dict[str, Entry] = {}
        self.spoken_by: dict[str, int] = {}
        self.answers: dict[int, Answer] = {}
        self.heard: dict[str, int] = {}
        self.versions = [config.instructions]
        self.in_force = config.instructions
        self.at_commit: set[str] = set()
        self.asked: dict[str, str] = {}
        self.replied: Counter[str] = Counter()
        self.announced: set[str] = set()
        self.withdrawn: set[str] = set()
        self.deleting: Counter[str] = Counter()
        self.user_texts: dict[str, str] = {}
        self.sent: list[str] = []

    # ---- what it may do ----

    def new(self, kind: str) -> str:
        return f"{kind}{next(self.count)}"

    async def do(self, deed: str) -> None:
        event = getattr(self, deed)()
        if event is not None:
            self.sent.append(deed)
            await self.session.send(event)

    def create(self) -> api.Input:
        return self._add(Entry(id=self.new("item"), text="hello"))

    def create_first(self) -> api.Input:
        return self._add(Entry(id=self.new("item"), text="before"), "root")

    def create_again(self) -> api.Input | None:
        return self._add(Entry(id=self.items[0], text="twice")) if self.items else None

    def create_sound(self) -> api.Input:
        return self._add(Entry(id=self.new("item"), spoken=True, audio=RECORDING, samples=len(RECORDING)))

    def result(self) -> api.Input | None:
        calls = [entry.call for entry in self.entries.values() if entry.kind == "call"]
        return self._add(Entry(id=self.new("item"), kind="result", call=calls[-1], output="done")) if calls else None

    def _add(self, entry: Entry, after: str | None = None) -> api.Input:
        tag = self.new("add")
        self.asked[tag] = ""
        return api.Add(entry, after, tag)

    def update(self) -> api.Input:
        return self._configure(self.config)

    def detect(self) -> api.Input:
        kind = KINDS[(KINDS.index(self.config.turns.kind) + 1) % len(KINDS)]
        return self._configure(replace(self.config, turns=replace(self.config.turns, kind=kind)))

    def _configure(self, config: SessionConfig) -> api.Input:
        version = f"{self.name}v{next(self.count)}"
        self.versions.append(version)
        self.config = replace(config, instructions=version, tag=version)
        return api.Configure(self.config)

    def speak(self) -> api.Input:
        return api.AudioIn(SPEECH)

    def pause(self) -> api.Input:
        return api.AudioIn(PAUSE)

    def commit(self) -> api.Input:
        tag = self.new("commit")
        self.asked[tag] = ""
        return api.Commit(tag)

    def clear(self) -> api.Input:
        return api.Clear()

    def respond(self) -> api.Input:
        return self._respond(ReplyOptions())

    def respond_apart(self) -> api.Input:
        return self._respond(ReplyOptions(out_of_band=True))

    def respond_to_sound(self) -> api.Input:
        sound = Entry(id=self.new("item"), spoken=True, audio=RECORDING, samples=len(RECORDING))
        return self._respond(ReplyOptions(input=(sound,)))

    def _respond(self, options: ReplyOptions) -> api.Input:
        tag = self.new("respond")
        self.asked[tag] = self.config.instructions
        return api.Respond(replace(options, tag=tag))

    def cancel(self) -> api.Input:
        tag = self.new("stop")
        return api.Stop(tag=tag)

    def _last_message(self) -> str | None:
        return next((item for item in reversed(self.items) if item in self.spoken_by), None)

    def truncate(self) -> api.Input | None:
        item = self._last_message()
        if item is None:
            return None
        return api.Truncate(item, self.answers[self.spoken_by[item]].samples // 2, self.new("truncate"))

    def delete(self) -> api.Input | None:
        if not self.items:
            return None
        self.deleting[self.items[-1]] += 1
        return api.Delete(self.items[-1], self.new("delete"))

    def show(self) -> api.Input:
        return api.Retrieve(self.items[-1] if self.items else "nothing", self.new("show"))

    def played(self) -> api.Input | None:
        return api.Played(max(self.answers), self.answers[max(self.answers)].samples // 2) if self.answers else None

    def hush(self) -> api.Input:
        return api.Hush()

    # ---- what it is told ----

    async def listen(self) -> None:
        async for output in self.session.events():
            self.take(output)

    def take(self, output: api.Output) -> None:
        match output:
            case api.TurnStarted(turn, options, config):
                assert turn not in self.answers, "begins twice"
                assert options.out_of_band or all(a.over or a.out_of_band for a in self.answers.values()), "two at once"
                self.answers[turn] = Answer(options.out_of_band)
                if options.tag is not None:
                    self.replied[options.tag] += 1
                    assert config.instructions == config.tag == self.asked[options.tag], (
                        "other settings than when asked"
                    )
                else:
                    assert config.instructions in self.at_commit, "other settings than when the turn ended"
            case api.TextOut(turn, entry, delta):
                answer = self._open(turn, entry)
                answer.text += delta
            case api.AudioOut(turn, entry, pcm, at):
                answer = self._open(turn, entry)
                assert at == answer.samples and not answer.silenced
                answer.samples += len(pcm)
            case api.ToolCall(turn, entry):
                self._open(turn, entry)
            case api.TurnEnded(turn):
                assert not self.answers[turn].over, "ends twice"
                self.answers[turn].over, self.answers[turn].cut = True, output.why != "completed"
                items = [self.entries[item] for item in self.answers[turn].items]
                assert all(item.status != "in_progress" for item in items), "an item was left open"
            case api.EntryAdded(entry, previous, turn):
                self._added(entry, previous, turn)
            case api.EntryDone(entry, previous, turn, _, gone):
                assert entry.id in self.entries and entry.status != "in_progress"
                self.entries[entry.id] = entry
                out_of_band = turn is not None and self.answers[turn].out_of_band
                assert turn is None or (not self.answers[turn].over and entry.id in self.answers[turn].items)
                assert out_of_band or gone == (entry.id not in self.items)
                assert out_of_band or gone or previous == self._before(entry.id)
            case api.EntryShown(entry):
                assert entry.id in self.items
            case api.EntryDeleted(entry):
                assert entry in self.items, "deletes what there is not"
                self.items.remove(entry)
                if not self.deleting[entry]:
                    self.withdrawn.add(entry)
            case api.EntryTruncated(entry, samples):
                assert entry in self.items or entry in self.withdrawn
                self.heard[entry] = samples
            case api.UserSpeech(_, _, entry):
                assert output.on or entry in self.announced
                self.announced.add(entry)
            case api.UserText(entry, _, final, text):
                assert entry in self.items or entry in self.announced or entry in self.withdrawn
                if final:
                    self.user_texts[entry] = text
            case api.Committed(entry, previous):
                assert previous == (self.items[-1] if self.items else None)
                self.announced.add(entry)
                self.at_commit.add(self.in_force)
            case api.IdleTimeout(_, _, entry):
                self.announced.add(entry)
            case api.Configured(config):
                self.in_force = self.versions[self.versions.index(self.in_force) + 1]
                assert config.tag == config.instructions == self.in_force, "settings out of order"
            case api.Silenced(turn):
                self.answers[turn].silenced = True
            case api.Paused(turn) | api.Resumed(turn):
                assert turn in self.answers
            case api.Refused(code, message, _, tag):
                assert code != "server_error", message
                if tag in self.asked:
                    self.replied[tag] += 1
            case api.Cleared():
                pass

    def _open(self, turn: int, item: str) -> Answer:
        answer = self.answers[turn]
        assert not answer.over, "goes on after its end"
        assert item in answer.items
        return answer

    def _added(self, entry: Entry, previous: str | None, turn: int | None) -> None:
        assert entry.id not in self.entries, "an id twice"
        self.entries[entry.id] = entry
        if turn is not None:
            answer = self.answers[turn]
            assert not answer.over
            answer.items.append(entry.id)
            if answer.out_of_band:
                return
            if entry.kind == "message":
                self.spoken_by[entry.id] = turn
        assert previous is None or previous in self.items, "after an item that there is not"
        self.items.insert(0 if previous is None else self.items.index(previous) + 1, entry.id)

    def _before(self, item: str) -> str | None:
        place = self.items.index(item)
        return self.items[place - 1] if place else None

    # ---- when all is done ----

    def check(self, remembered: tuple[Entry, ...]) -> None:
        assert all(answer.over for answer in self.answers.values()), "never ends"
        assert self.in_force == self.versions[-1], "settings never came into force"
        for tag in self.asked:
            if not tag.startswith("add"):
                assert tag.startswith("commit") or self.replied[tag] == 1, (
                    f"{tag} was answered {self.replied[tag]} times"
                )
        last = self.answers[max(self.answers)].items
        assert [entry.id for entry in remembered] == [item for item in self.items if item not in last]
        for entry in remembered:
            if entry.id in self.spoken_by and entry.spoken:
                answer = self.answers[self.spoken_by[entry.id]]
                assert not (answer.silenced and self.config.plays_here) or entry.id in self.heard, (
                    "cut, and not said where"
                )
                heard = self.heard.get(entry.id, answer.samples)
                known = [heard_of(answer.text, heard)]
                if answer.cut:  # a word is one once something follows it
                    known.append(heard_of(answer.text, heard - SYMBOL, 1.0))
                assert entry.text.split() in known, "remembers what nobody heard"
                assert entry.samples == min(heard, answer.samples)
                assert entry.audio is None or len(entry.audio) == entry.samples
            elif entry.id in self.user_texts:
                assert entry.text == self.user_texts[entry.id]


REMEMBERED: dict[str, tuple[Entry, ...]] = {}


def clerk(context: Context) -> Iterator[Thought]:
    """Acts on what a user says, and says whose instructions it follows."""
    REMEMBERED[context.instructions] = context.entries
    last = context.entries[-1] if context.entries else None
    if last is not None and last.role == "user" and last.kind == "message":
        yield Call("act", "{}")
    yield Say(f"{context.instructions} ")
    yield Say("it is.")


async def play(begin: list[str | int], orders: list[tuple[str, ...]], pace: int, kind: str, plays_here: bool) -> None:
    """Plays all orders after the same beginning, as many at a time as there are rows; numbers are steps to wait."""
    engine = LiveEngine(fake_model(clerk), rows=ROWS, threads=0)

    async def steps(count: int) -> None:
        for _ in range(count):
            if not engine.step():
                break
            await asyncio.sleep(0)

    for first in range(0, len(orders), ROWS):
        batch = orders[first : first + ROWS]
        clients, ears = [], []
        for number in range(len(batch)):
            config = instructed(f"c{number}v0", kind, plays_here=plays_here)
            clients.append(Client(f"c{number}", await engine.open(config), config))
            ears.append(asyncio.create_task(clients[-1].listen()))
        for place in range(len(begin) + len(batch[0])):
            if place < len(begin) and isinstance(count := begin[place], int):
                await steps(count)
                continue
            for client, order in zip(clients, batch, strict=True):
                await client.do(str([*begin, *order][place]))
            if place >= len(begin):
                await steps(pace)
        await steps(100_000)
        for client in clients:
            for deed in ("cancel", "clear"):
                await client.do(deed)
            quiet = replace(client.config, audio_out=False, turns=TurnConfig(kind="none"))
            await client.session.send(client._configure(quiet))
        await steps(100_000)
        for client in clients:
            await client.do("respond")
        await steps(100_000)
        for client, ear, order in zip(clients, ears, batch, strict=True):
            closing = asyncio.create_task(client.session.close())
            while not closing.done():
                engine.step()
                await asyncio.sleep(0)
            try:
                await ear
                client.check(REMEMBERED.pop(client.config.instructions))
            except (AssertionError, KeyError) as error:
                raise AssertionError(f"after {begin}: {order} ({kind}, {pace=}, {plays_here=}): {error!r}") from error


DEEDS = """
    create create_first create_again create_sound result update detect speak pause commit clear respond respond_apart
    respond_to_sound cancel truncate delete show played hush
""".split()
SETTLED = 100_000
DEPTH = 2
"""Deeds after the beginning. 3 is twenty times the work; it was played through after one of the beginnings only."""
BEGINNINGS: dict[str, tuple[list[str | int], str, bool, tuple[int, ...]]] = {
    "nothing": ([], "server_vad", False, (0,)),
    "answered": (["create", "respond", SETTLED], "server_vad", False, (0,)),
    "answering": (["create", "respond", 4], "semantic_vad", False, (0, 3)),
    "playing": (["create", "respond", SETTLED, "played"], "semantic_vad", True, (0, 3)),
    "spoken to": (["speak", 6], "semantic_vad", False, (0, 3)),
    "hearing": (["speak", "pause", "create_sound", "respond"], "server_vad", False, (0,)),
}
"""Where the orders begin: what was done before, how turns are found, whether we play, and steps between two deeds."""


@pytest.mark.parametrize("name", BEGINNINGS)
def test_all_orders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # shapes are checked everywhere else; here that would take three quarters of the time
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    begin, kind, plays_here, paces = BEGINNINGS[name]
    for pace in paces:
        asyncio.run(play(begin, list(itertools.product(DEEDS, repeat=DEPTH)), pace, kind, plays_here))
