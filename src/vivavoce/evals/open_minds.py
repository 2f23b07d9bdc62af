"""Minds of one's choice: what they know, whom they call, how soon they begin; typed, and spoken to Whisper as the ear.

Of each list there are two: how minds are told and made to call was chosen by one, and is measured on the other.
What is spoken is spoken by our own voice, so both ways of asking can be compared on the same lists. What is timed is
timed by the clock of the machine, so nothing else should run on it.
"""

import json
import time
from collections.abc import Sequence
from functools import cache, partial
from importlib import resources
from typing import Any

import torch
import yaml
from torch import Tensor

import vivavoce
from vivavoce.assistant.whisper import WhisperEars
from vivavoce.audio.resample import resample
from vivavoce.core.progress import Log
from vivavoce.core.talk import Call, Entry, Say, Tool
from vivavoce.evals import intervals
from vivavoce.evals.report import Row, Table
from vivavoce.evals.voices import spoken
from vivavoce.hub.whisper import RATE as LOW
from vivavoce.hub.whisper import Recogniser, Wanted
from vivavoce.runtime.model import RATE, Context, HearingOptions, Speaking, Thinking
from vivavoce.text.normalise import normalise

_HISTORY = ("Tell me about the sea.", "The sea is deep, wide and full of animals, and it covers most of the Earth.") * 8
_NEW = "And what lives at its bottom?"


@cache
def _listed(name: str) -> Any:
    return yaml.safe_load(resources.files("vivavoce.evals").joinpath(name).read_text(encoding="utf-8"))


def questions(held_out: bool = True) -> list[dict[str, Any]]:
    """General questions, each with the words of which one is in a right answer."""
    return _listed("questions_held_out.yaml" if held_out else "questions.yaml")


def requests(held_out: bool = True) -> list[dict[str, Any]]:
    """Tools, each with ten requests and the arguments that they mean."""
    return _listed("requests_held_out.yaml" if held_out else "requests.yaml")


def tools(held_out: bool = True) -> tuple[Tool, ...]:
    """The ten that nobody was taught."""
    return tuple(
        Tool(name=entry["name"], description=entry["description"], parameters=entry["parameters"])
        for entry in requests(held_out)
    )


def asked(*texts: str, declared: tuple[Tool, ...] = ()) -> Context:
    """A conversation that began with a user's words."""
    return Context(
        entries=tuple(
            Entry(id=f"e{place}", text=text, role="assistant" if place % 2 else "user")
            for place, text in enumerate(texts)
        ),
        tools=declared,
    )


def speed_table(name: str, thinking: Thinking) -> Table:
    """Time to the first word and per word, with a conversation of some 300 tokens, new and as one that goes on."""
    for _ in thinking.respond(asked("Hello.")):  # what is read once is not counted
        pass
    talks = {"all of it is new": (*_HISTORY, _NEW), "it goes on": (*_HISTORY, _NEW, "Many fish.", "Which ones?")}
    table = Table(f"Speed of the mind {name}")
    for how, talk in talks.items():
        began = time.perf_counter()
        times, words = [], 0
        for thought in thinking.respond(asked(*talk)):
            if isinstance(thought, Say) and thought.text.strip():
                times.append(time.perf_counter())
                words += len(thought.text.split())
        first, rest = 1000 * (times[0] - began), 1000 * (times[-1] - times[0]) / max(words - 1, 1)
        table.rows += [
            Row(name=f"first word, {how}", value=intervals.median([first]), unit="ms"),
            Row(name=f"each further word, {how}", value=intervals.median([rest]), unit="ms"),
        ]
    return table


def knowledge_table(
    name: str, thinking: Thinking, speaking: Speaking[Any], ear: Recogniser, say: Log = print, *, held_out: bool = True
) -> Table:
    """Fifty general questions: the answer's word in the written reply, and heard in the spoken one."""
    written, heard = [], []
    for entry in questions(held_out):
        answer = "".join(t.text for t in thinking.respond(asked(entry["ask"])) if isinstance(t, Say))
        written.append(_has(answer, entry["answer"]))
        heard.append(_has(_heard(speaking, answer, ear), entry["answer"]))
        if not (written[-1] and heard[-1]):
            say(f"{name}: {entry['ask']} {answer!r}{'' if written[-1] == heard[-1] else ' (written only)'}")
    return Table(
        f"What the mind {name} knows",
        [
            Row(name="answer in the written reply", value=intervals.share(written)),
            Row(name="answer heard in the spoken reply", value=intervals.share(heard), remark=f"by {ear.name}"),
        ],
    )


def calls_table(
    name: str, thinking: Thinking, speaking: Speaking[Any], ears: WhisperEars, say: Log = print, *,
    held_out: bool = True,
) -> Table:  # fmt: skip
    """A hundred requests over ten tools, typed, and spoken and heard as at the end of a turn: right function and
    arguments; and who calls unasked."""
    declared = tools(held_out)
    called = cache(partial(_called, thinking, declared=declared))
    typed, aloud = [], []
    for entry in requests(held_out):
        for request in entry["requests"]:
            wanted = (entry["name"], request["arguments"])
            typed.append(_same(called(request["ask"]), wanted))
            text = understood(speaking, request["ask"], ears)
            aloud.append(_same(called(text), wanted))
            if not (typed[-1] and aloud[-1]):
                say(f"{name}: {request['ask']} (heard {text!r}): typed {typed[-1]}, spoken {aloud[-1]}")
    unasked = [called(entry["ask"]) is not None for entry in questions(held_out)]
    return Table(
        f"Whom the mind {name} calls",
        [
            Row(name="right call, typed", value=intervals.share(typed)),
            Row(name="right call, spoken", value=intervals.share(aloud), remark=f"heard by {ears.info[0].name}"),
            Row(name="calls where a question was asked", value=intervals.share(unasked)),
        ],
    )


def understood(speaking: Speaking[Any], text: str, ears: WhisperEars) -> str:
    """What ears make of a text that our voice says, as at the end of a turn."""
    heard = ears.recognise(_low(speaking, text).numpy(), HearingOptions(), live=True)
    return " ".join(word.text for word in heard.words)


def _called(thinking: Thinking, text: str, *, declared: tuple[Tool, ...]) -> tuple[str, dict[str, Any]] | None:
    calls = [t for t in thinking.respond(asked(text or "...", declared=declared)) if isinstance(t, Call)]
    return (calls[0].name, json.loads(calls[0].arguments)) if calls else None


def _same(called: tuple[str, dict[str, Any]] | None, wanted: tuple[str, dict[str, Any]]) -> bool:
    """Whether names are the same, and arguments but for capitals."""
    if called is None:
        return False
    return called[0] == wanted[0] and {k: _small(v) for k, v in called[1].items()} == {
        k: _small(v) for k, v in wanted[1].items()
    }


def _small(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _has(text: str, answers: Sequence[str]) -> bool:
    """Whether one of the answers is in a text, read as it would be said."""
    said = f" {' '.join(normalise(text))} " if any(sign.isalnum() for sign in text) else ""
    return any(f" {' '.join(normalise(answer))} " in said for answer in answers)


def _heard(speaking: Speaking[Any], text: str, ear: Recogniser) -> str:
    if not any(sign.isalnum() for sign in text):
        return ""
    wave = _low(speaking, text)[0].numpy()
    return " ".join(word.text for word in ear.transcribe(wave, Wanted(language="en", beam=1)).words)


def _low(speaking: Speaking[Any], text: str) -> Tensor:
    """A text that is spoken, Float[1, N] at 16 kHz, with silence around it."""
    sound, _, _ = spoken(speaking, text)
    return resample(torch.nn.functional.pad(sound, (RATE // 4, RATE // 2))[None], RATE, LOW)


def mind_tables(
    mind: str, recogniser: str, parts: Sequence[str], say: Log = print, *, held_out: bool = True
) -> list[Table]:
    """The tables of a mind by what `vivavoce.load` calls it; ``parts`` of speed, knowledge and calls. The recogniser,
    by its name, judges what is spoken, and hears what is asked."""
    model = vivavoce.load(mind=mind, ears=recogniser)
    name, thinking, speaking, ears = mind or "mini", model.mind, model.speaking, model.ears
    assert isinstance(ears, WhisperEars) and ears.first is not None
    judge = ears.first
    made = {
        "speed": lambda: speed_table(name, thinking),
        "knowledge": lambda: knowledge_table(name, thinking, speaking, judge, say, held_out=held_out),
        "calls": lambda: calls_table(name, thinking, speaking, ears, say, held_out=held_out),
    }
    return [made[part]() for part in parts]
