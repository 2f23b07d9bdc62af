"""Turns that are handed over whole: what happens in which order, what is remembered, and bad questions."""

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
import pytest

from vivavoce.assistant.conversation import Conversation
from vivavoce.assistant.thinking import exchanges, restyled
from vivavoce.assistant.turn import Called, Finished, Happening, Partial, Saying, Sound, Turn, Understood
from vivavoce.core.errors import AudioError, MindError, TextError
from vivavoce.core.talk import Call, Entry, Say, Thought, Tool, Trouble
from vivavoce.core.voice import Voice
from vivavoce.runtime.activity import Loudness
from vivavoce.runtime.fake import Beeping, ScriptedMind, ToneHearing, decode, utter
from vivavoce.runtime.model import RATE, Abilities, Context

ORDER = Tool(name="order_drink", parameters={"type": "object", "properties": {"coffeeDrink": {"type": "string"}}})


def clerk() -> Abilities:
    return Abilities(activity=Loudness(), hearing=ToneHearing(), thinking=ScriptedMind(), speaking=Beeping())


def run(happenings: list[Happening]) -> Turn:
    finished = happenings[-1]
    assert isinstance(finished, Finished)
    return finished.turn


def test_a_turn_happens_in_order_and_speaks_what_it_says() -> None:
    talk = Conversation(clerk(), tools=(ORDER,))
    happenings = list(talk.ask(utter("one latte please.")))
    kinds = [type(h) for h in happenings]
    assert kinds.index(Understood) < kinds.index(Saying) < kinds.index(Sound)
    assert all(kinds.index(Partial) < kinds.index(kind) for kind in (Understood, Saying))
    turn = run(happenings)
    assert turn.transcript == "one latte please."
    assert decode(turn.audio) == turn.reply
    assert turn.first_audio_ms is not None and turn.first_audio_ms > 0
    assert turn.rtf is not None
    assert [c for c in happenings if isinstance(c, Called)] and turn.calls[0]["name"] == "order_drink"
    assert [word.text for word in turn.reply_words] == turn.reply.split()


def test_turns_remember_what_was_heard_of_them() -> None:
    talk = Conversation(clerk())
    first = run(list(talk.ask("hello to you")))
    half = first.reply_words[1].end
    talk.heard(half)
    assert talk.entries[-1].text == " ".join(first.reply.split()[:2])
    assert talk.entries[-1].status == "incomplete"


class Broken:
    """Says something, calls something, and breaks."""

    def respond(self, context: Context) -> Iterator[Thought]:
        yield Say("One moment. ")
        yield Call("order_drink", "{}")
        yield Trouble("the line is dead")


def test_what_was_said_before_a_mind_broke_or_nobody_listened_any_more_is_remembered() -> None:
    talk = Conversation(replace(clerk(), thinking=Broken()))
    with pytest.raises(MindError, match="the line is dead"):
        list(talk.ask("a latte"))
    assert [(e.role, e.text, e.status) for e in talk.entries] == [
        ("user", "a latte", "completed"), ("assistant", "One moment.", "incomplete"),
    ]  # fmt: skip
    talk = Conversation(clerk())
    happenings = talk.ask("hello to you")
    assert isinstance(happenings, Generator)
    while not isinstance(next(happenings), Sound):
        pass
    happenings.close()
    assert talk.entries[-1].status == "incomplete" and talk.entries[-1].samples


def test_without_speech_nothing_is_spoken() -> None:
    turn = run(list(Conversation(clerk()).ask("hello", speak=False)))
    assert turn.reply and not len(turn.audio) and turn.first_audio_ms is None


def test_bad_questions_are_refused() -> None:
    talk = Conversation(clerk())
    with pytest.raises(TextError, match="empty"):
        list(talk.ask("   "))
    with pytest.raises(AudioError, match="cut it"):
        list(talk.ask(np.zeros(RATE * 121, np.float32)))


def test_a_result_that_came_while_we_answered_is_not_answered_yet() -> None:
    order = Entry(id="u", text="a latte")
    call = Entry(id="c", kind="call", role="assistant", call="x", name="order", arguments="{}", reply=1)
    result = Entry(id="r", kind="result", call="x", output="at nine")
    said = Entry(id="a", role="assistant", text="One latte.", reply=1)
    told = Entry(id="b", role="assistant", text="At nine.", reply=2)
    once, open_ = exchanges((order, call, result, said))
    assert (once.user, once.reply) == ("a latte", "One latte.") and open_.results == ("at nine",)
    assert exchanges((order, call, said, result)) == [once, open_]
    *_, answered, nothing = exchanges((order, call, result, said, told))
    assert (answered.results, answered.reply) == (("at nine",), "At nine.") and not nothing.results
    *_, result_, change = exchanges((order, call, result, said, Entry(id="v", text="make it small")))
    assert result_.results == ("at nine",) and change.user == "make it small"


def test_entries_become_exchanges() -> None:
    entries = (
        Entry(id="1", text="a latte"),
        Entry(id="2", kind="call", role="assistant", name="order_drink", arguments='{"coffeeDrink": "latte"}'),
        Entry(id="3", role="assistant", text="One latte."),
        Entry(id="4", kind="result", output="ready"),
        Entry(id="5", role="assistant", text="It is"),
        Entry(id="6", text="thanks"),
    )
    found = exchanges(entries)
    assert [e.user for e in found] == ["a latte", "", "thanks"]
    assert found[0].calls[0].name == "order_drink" and found[0].reply == "One latte."
    assert found[1].results == ("ready",) and found[1].reply == "It is"


def test_a_way_of_speaking_is_added_and_taken_back() -> None:
    voice = Voice.described("an old wizard")
    slower = restyled(voice, "slower")
    assert slower.description == "an old wizard | slower"
    assert restyled(slower, "in a whisper").description == "an old wizard | in a whisper"
    assert restyled(slower, "normal").description == "an old wizard"
