"""Texts that were cut, lost or misread once, through the doors that people use: `say`, an answer, a cut answer."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from vivavoce.assistant.conversation import Conversation
from vivavoce.assistant.model import Model, finished, load
from vivavoce.core.errors import TextError
from vivavoce.core.places import BUNDLED
from vivavoce.core.talk import Say, Thought
from vivavoce.runtime.fake import ScriptedMind
from vivavoce.runtime.model import Context
from vivavoce.text.normalise import normalise, phrases


@pytest.fixture(scope="module")
def model() -> Model:
    return load(BUNDLED, threads=0)


def answering(model: Model, *pieces: str) -> Conversation:
    def answer(context: Context) -> Iterator[Thought]:
        yield from map(Say, pieces)

    return Conversation(replace(model.abilities, thinking=ScriptedMind(answer)))


@pytest.mark.parametrize(
    "text",
    [
        "A pint costs $4.50.", "Pi is 3.14.", "€1.5m", "bob@example.com", "192.168.1.10", "v2.0.1", "3 p.m. sharp",
        "Dr. Smith", "e.g. this", "U.S.",
    ],
)  # fmt: skip
def test_a_dot_inside_ends_no_sentence(text: str):
    assert len(phrases(text)) == 1


@pytest.mark.parametrize("text", ["One is fine. 日本語です. The end.", "日本語です", "…", "😀"])
def test_what_cannot_be_said_is_refused_before_anything_is_said(model: Model, text: str):
    with pytest.raises(TextError):
        next(iter(model.say(text)))


def test_a_micrometre_is_said(model: Model):
    turn = finished(answering(model, "One is fine. The wire is 5 µ", "m thick. The end.").ask("hello"))
    assert [word.text for word in turn.reply_words] == normalise(
        "one is fine the wire is five micrometers thick the end"
    )


def test_an_answer_tells_what_of_it_could_not_be_said(model: Model):
    turn = finished(answering(model, " One is fine. ", "日本語です. The end.").ask("hello"))
    assert [turn.reply[slice(*word.span)] for word in turn.reply_words if word.span] == "One is fine The end".split()
    assert len(turn.unsaid) == 1 and "cjk script" in turn.unsaid[0]
    assert turn.json()["unsaid"] == list(turn.unsaid)


def test_a_cut_answer_keeps_exactly_what_was_heard(model: Model):
    talk = answering(model, "Coffee is $4.50, ", "and we have coffee ", "with milk too. Coffee?")
    turn = finished(talk.ask("what is on the menu"))
    for count, word in enumerate(turn.reply_words):
        heard = replace(talk.entries[-1]).cut((word.start + word.end) // 2 + 1)
        assert normalise(heard.text) == [known.text for known in turn.reply_words[: count + 1]]
    talk.heard(turn.reply_words[0].end)
    assert talk.entries[-1].text == "Coffee"
