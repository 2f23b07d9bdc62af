"""Lines for the mind to learn from: the character's dialogues as a listener hears them, and what else comes.

Everything is a function of the step, so a run that was killed goes on with the same lines.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch

from vivavoce.core import rng
from vivavoce.core.talk import Call
from vivavoce.data.character import HEARD, Character, Dialogue, ScriptedTurn, sentence_case
from vivavoce.data.character.recognised import Recognised
from vivavoce.data.sentences import sentences, word
from vivavoce.data.sheet import Sheet
from vivavoce.data.templates import fill, pick
from vivavoce.models.mind import Exchange, MindModel
from vivavoce.text.numbers import cardinal
from vivavoce.train.tasks.grid import GridBatch

_POOL = 8  # steps that share a pool of lines, so that a batch holds lines of like length
_SHARES = (0.08, 0.16, 0.16, 0.36)
"""Of forced calls, single orders, single sentences and drills; dialogues are the rest."""
_READING = 0.03  # what the user's words count beside the reply's
_CALLING = 3.0  # and what a call's do: they must be exact, while a reply has many wordings
_NEED_ORDER = {"my_order", "owe", "yes", "no", "cancel", "incomplete", "sound", "last_reply", "last_user"}
_NEED_LAST = {"last_reply", "last_user"}
Pieces = list[tuple[str, bool]]


class Lines:
    """Makes lines; ``read`` are sentences of people reading, to be met with "say that again" when they are no order."""

    def __init__(
        self,
        model: MindModel,
        *,
        seed: int,
        batch: int,
        longest: int,
        read: Sequence[str] = (),
        sheet: Sheet | None = None,
    ):
        self.model = model
        self.seed, self.batch_size, self.longest = seed, batch, longest
        self.character = Character(sheet)
        self.sheet = self.character.sheet
        self.read = [text.split() for text in read if 3 < len(text.split()) < 25]
        slots = self.sheet.tool.slots
        self.recognised = Recognised(self.sheet)
        self._spelled = {slot.name for slot in slots if slot.spelled}
        self._pool = lru_cache(3)(self._make_pool)

    def __call__(self, step: int) -> GridBatch:
        """The batch of a step."""
        pool, place = self._pool(step // _POOL), step % _POOL
        chosen = pool[place * self.batch_size : (place + 1) * self.batch_size]
        longest = max(len(ids) for ids, _ in chosen)
        ids = torch.full((len(chosen), longest), self.model.mark("pad"))
        weights = torch.zeros(len(chosen), longest)
        for row, (line, counts) in enumerate(chosen):
            ids[row, : len(line)] = torch.tensor(line)
            weights[row, : len(line)] = torch.tensor(counts)
        return GridBatch(ids[:, None], weights[:, None])

    def _make_pool(self, number: int) -> list[tuple[list[int], list[float]]]:
        draw = rng.stream(self.seed, "mind", number)
        count = self.batch_size * _POOL
        forced, alone, talk, drills = (int(share * count) for share in _SHARES)
        base = int(draw.integers(2**40))
        lines = [self.forced_line(draw) for _ in range(forced)]
        single = [*self.character.orders(alone // 2, base), *self.character.orders(alone - alone // 2, base, rich=True)]
        single += self.character.talk(talk, base)
        dialogues = [Dialogue((turn,)) for turn in single]
        dialogues += self.character.drills(drills, base)
        dialogues += self.character.dialogues(count - len(lines) - len(dialogues), base)
        lines += [self.line(dialogue, draw) for dialogue in dialogues]
        lines = [(ids[: self.longest], weights[: self.longest]) for ids, weights in lines]
        return sorted(lines, key=lambda line: len(line[0]))

    # ---- dialogues ----

    def line(
        self, dialogue: Dialogue, draw: np.random.Generator, *, noisy: bool = True
    ) -> tuple[list[int], list[float]]:
        """A dialogue as ids and what each counts."""
        model = self.model
        turns = list(dialogue.turns)
        tools = draw.random() > 0.06 or not any(turn.calls for turn in turns)
        turns = turns if tools else list(self._without_tool(turns, draw))
        if draw.random() < 0.12:
            turns = [self._foreign(draw), *turns] if draw.random() < 0.5 else [*turns, self._foreign(draw)]
        ids = model.opening([self.sheet.tool.name] if tools else [])
        weights = [0.0] * len(ids)
        before: tuple[list[str], ScriptedTurn] | None = None
        style = ""
        for place, turn in enumerate(turns):
            words = self.recognised.words(turn, draw) if noisy else turn.user.split()
            said = list(words)
            if turn.style is not None and turn.style.startswith("like "):
                words, turn = self._role(words, turn, draw)
            asked = model.asked(words, self._heard(turn, draw), (), style if draw.random() < 0.5 else "")
            heard_only = place + 1 < len(turns) and draw.random() < 0.25
            pieces = None if heard_only else self.pieces(turn, words, before)
            made, counts = self._answer(turn, pieces)
            ids += [*asked, *made]
            weights += [*([_READING] * (len(asked) - 1)), 0.0, *([0.0] * len(made) if heard_only else counts)]
            if turn.calls and tools and draw.random() < 0.08:
                asked, made = self._tool_answered(draw)
                ids += [*asked, *made]
                weights += [*([0.0] * len(asked)), *([1.0] * len(made))]
                break  # what was said last is now the tool's answer; the rest of the dialogue does not know it
            before = (said, turn)
            style = turn.style or style
        return ids, weights

    def _heard(self, turn: ScriptedTurn, draw: np.random.Generator) -> tuple[str, ...]:
        """How the voice sounds: known for everything that was spoken."""
        if turn.heard is not None:
            return turn.heard
        if draw.random() < 0.3:
            return ()
        words = self.sheet.said["heard"]
        return tuple(pick(list(words[name]), draw) for name in HEARD)

    def pieces(self, turn: ScriptedTurn, words: list[str], before: tuple[list[str], ScriptedTurn] | None) -> Pieces:
        """The reply with what is copied marked as such."""
        reply = turn.reply
        if turn.kind == "repeat":
            line = reply.rstrip(".").lower()
            return [(line, True), (".", False)] if f" {line} " in f" {' '.join(words)} " else [(reply, False)]
        if turn.kind in _NEED_LAST and before is not None and ": " in reply:
            start, said = reply.split(": ", 1)
            if turn.kind == "last_user":
                return [(f"{start}:", False), (" ".join(before[0]), True), (".", False)]
            return [(f"{start}:", False), (said, True)] if said in before[1].kept else [(reply, False)]
        role = (turn.style or "").removeprefix("like ")
        if role != turn.style and f" {role} " in f" {' '.join(words)} " and role in reply:
            first, last = reply.split(role, 1)
            return [piece for piece in ((first.rstrip(), False), (role, True), (last, False)) if piece[0]]
        return [(reply, False)]

    def _answer(self, turn: ScriptedTurn, pieces: Pieces | None) -> tuple[list[int], list[float]]:
        model = self.model
        calls = tuple(Call(call.name, json.dumps(dict(call.arguments))) for call in turn.calls)
        style = turn.style or ""
        if turn.cut is not None:  # what was not heard is not in the line, and its end is no decision of the mind
            ids = model.answered(Exchange(calls=calls, restyle=style, reply=turn.kept, cut=True))
            return ids, [*self._counts(ids, calls)[:-1], 0.0]
        exchange = Exchange(calls=calls, restyle=style, reply=turn.reply)
        ids = model.answered(exchange, pieces)
        if style.startswith("like ") and pieces is not None and any(quoted for _, quoted in pieces):
            plain = [model.mark("restyle"), *model.text(style)]
            copied = [model.mark("restyle"), *model.text("like"), *model.quoted(style.removeprefix("like "))]
            place = ids.index(plain[0])
            ids[place : place + len(plain)] = copied
        return ids, self._counts(ids, calls)

    def _counts(self, ids: list[int], calls: Sequence[Call] = ()) -> list[float]:
        """What each id of an answer counts: all up to the reply more, but nothing what was spelled: that is copied."""
        before = ids.index(self.model.mark("say")) + 1
        counts = [*([_CALLING] * before), *([1.0] * (len(ids) - before))]
        for call in calls:
            for value in (v for k, v in json.loads(call.arguments).items() if k in self._spelled):
                own = self.model.spell(b"", json.dumps(value).encode())
                place = next(n for n in range(before) if ids[n : n + len(own)] == own)
                counts[place : place + len(own)] = [0.0] * len(own)
        return counts

    # ---- what the character's dialogues do not have ----

    def _without_tool(self, turns: list[ScriptedTurn], draw: np.random.Generator) -> Iterator[ScriptedTurn]:
        """The same people, where no tool is declared: orders are declined in words."""
        for turn in turns:
            if turn.calls:
                reply = fill(pick(self.sheet.texts("replies", "no_tool"), draw), {}, draw)
                yield ScriptedTurn(kind="no_tool", user=turn.user, reply=reply)
            elif turn.kind not in _NEED_ORDER:
                yield turn

    def _foreign(self, draw: np.random.Generator) -> ScriptedTurn:
        """Something read, or words without sense: nobody orders like that."""
        if self.read and draw.random() < 0.6:
            text = self.read[int(draw.integers(len(self.read)))]
            first = int(draw.integers(max(len(text) - 4, 1)))
            words = text[first : first + int(draw.integers(4, 18))]
        elif draw.random() < 0.6:
            words = next(iter(sentences(1, int(draw.integers(2**40))))).split()
        else:
            share = draw.uniform(0, 1)
            words = [word(draw, share) for _ in range(int(draw.integers(3, 11)))]
            if draw.random() < 0.3:  # a drink alone does not make an order
                words.insert(int(draw.integers(len(words))), pick(sorted(self.recognised.kept), draw))
        reply = sentence_case(fill(pick(self.sheet.texts("nonsense"), draw), {}, draw))
        return ScriptedTurn(kind="nonsense", user=" ".join(words[:24]), reply=reply)

    def _role(self, words: list[str], turn: ScriptedTurn, draw: np.random.Generator) -> tuple[list[str], ScriptedTurn]:
        """Half of the roles are such as nobody has thought of, so that they are copied and not remembered."""
        role = (turn.style or "").removeprefix("like ")
        text = " ".join(words)
        if draw.random() < 0.5 or role not in text:
            return words, turn
        new = " ".join(
            [pick(["a", "an", "the", "my"], draw), *(word(draw, 0.3) for _ in range(int(draw.integers(1, 4))))]
        )
        changed = ScriptedTurn(kind=turn.kind, user=turn.user, reply=turn.reply.replace(role, new), style=f"like {new}")
        return text.replace(role, new).split(), changed

    def _tool_answered(self, draw: np.random.Generator) -> tuple[list[int], list[int]]:
        """A tool answered: with nothing to tell, or with words that are passed on."""
        model = self.model
        if draw.random() < 0.5:
            result = pick(["", "ok", "true", "done", "success", "status ok", "ordered", "result true", "null"], draw)
            pieces: Pieces = [(fill(pick(self.sheet.texts("replies", "served"), draw), {}, draw), False)]
        else:
            if draw.random() < 0.5 or not self.sheet.has("results"):
                result = " ".join(word(draw, 0.7) for _ in range(int(draw.integers(3, 10))))
            else:
                number = " ".join(cardinal(int(draw.integers(1, 200))))
                result = fill(pick(self.sheet.texts("results"), draw), {"number": number}, draw)
            start = fill(pick(self.sheet.texts("replies", "told"), draw), {"said": ""}, draw).strip()
            pieces = [(start, False), (result, True), (".", False)]
        return model.asked([], (), [result]), model.answered(Exchange(), pieces)

    def forced_line(self, draw: np.random.Generator) -> tuple[list[int], list[float]]:
        """A tool that nobody knows, called because it has to be: names of properties stand near their values."""
        model = self.model
        said: list[str] = [word(draw, 0.8) for _ in range(int(draw.integers(0, 4)))]
        arguments: dict[str, str | int] = {}
        for _ in range(int(draw.integers(1, 4))):
            key = " ".join(word(draw, 0.5) for _ in range(int(draw.integers(1, 3))))
            if draw.random() < 0.25:
                number = int(draw.integers(0, 60))
                value: str | int = number
                spoken = " ".join(cardinal(number))
            else:
                value = spoken = " ".join(word(draw, 0.5) for _ in range(int(draw.integers(1, 4))))
            frame = pick(
                ["{k} {v}", "the {k} {v}", "{k} to {v}", "{k} is {v}", "{v} {k}", "with {k} {v}", "in {v}", "{v}"], draw
            )
            said += frame.format(k=key, v=spoken).split()
            said += [word(draw, 0.9) for _ in range(int(draw.integers(0, 3)))]
            arguments[key.replace(" ", "_")] = value
        name = "_".join(word(draw, 0.6) for _ in range(int(draw.integers(1, 4))))
        start = [*model.opening([]), *model.asked(said), model.mark("call"), *model.name(name), model.mark("args")]
        written = [*model.spelled(Call(name, json.dumps(arguments))), model.mark("done")]
        return [*start, *written], [*([0.0] * len(start)), *([1.0] * len(written))]
