"""The state machine of a reply, in all orders of what can happen to it."""

from collections.abc import Callable
from itertools import count, product

import numpy as np
import pytest

from vivavoce.core.talk import Call, Restyle, Say, Trouble, Utter
from vivavoce.core.voice import Voice
from vivavoce.runtime import api
from vivavoce.runtime.model import Context, Spoken
from vivavoce.runtime.reply import Begin, Feed, Halt, Over, Reply, Request

SOUND = np.full(480, 0.1, np.float32)
DEEDS: dict[str, Callable[[Reply], None]] = {
    "say": lambda reply: reply.think(Say("well, ")),
    "utter": lambda reply: reply.think(Utter("mhm, ", SOUND)),
    "call": lambda reply: reply.think(Call("order", "{}")),
    "restyle": lambda reply: reply.think(Restyle(Voice.described("low"))),
    "trouble": lambda reply: reply.think(Trouble("no answer came")),
    "over": lambda reply: reply.think(Over()),
    "sound": lambda reply: reply.spoke(Spoken(SOUND)),
    "all": lambda reply: reply.spoke(Spoken(SOUND, done=True)),
    "settle": Reply.settle,
    "cancel": lambda reply: reply.end("client_cancelled", 100),
    "release": Reply.release,
}


def made(spoken: bool, prepared: bool) -> Reply:
    names = count()
    request = Request(turn=1, config=api.SessionConfig(audio_out=spoken), context=Context(entries=()))
    return Reply(request, lambda kind: f"{kind}_{next(names)}", prepared=prepared)


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("prepared", [True, False])
def test_whatever_happens_a_reply_is_told_whole(spoken: bool, prepared: bool) -> None:
    for deeds in product(DEEDS, repeat=3):
        reply, outputs, orders = made(spoken, prepared), [], []
        for deed in deeds:
            if reply.ended and deed in ("say", "utter", "call", "restyle", "trouble", "over"):
                continue  # nobody thinks for it any more
            DEEDS[deed](reply)
            found = reply.outputs()
            assert reply.released or not found, deeds
            outputs += found
            orders += reply.orders()
        ended = reply.ended
        reply.release()
        reply.end("client_cancelled")
        outputs += reply.outputs()
        orders += reply.orders()
        check(outputs, spoken, deeds)
        assert ended or isinstance(outputs[-1], api.TurnEnded)
        assert bool(orders) == spoken
        if spoken:
            assert isinstance(orders[0], Begin) and sum(isinstance(order, Halt) for order in orders) <= 1
            fed = [isinstance(order, Feed) for order in orders]
            assert not any(isinstance(order, Begin) and any(fed[:at]) for at, order in enumerate(orders)), deeds


def check(outputs: list[api.Output], spoken: bool, deeds: tuple[str, ...]) -> None:
    assert isinstance(outputs[0], api.TurnStarted) and isinstance(outputs[-1], api.TurnEnded), deeds
    assert sum(isinstance(output, api.TurnEnded) for output in outputs) == 1
    open_, places, sound = {}, [], 0
    for output in outputs:
        match output:
            case api.EntryAdded(entry, place=place):
                open_[entry.id] = entry
                places.append(place)
            case api.EntryDone(entry):
                assert open_.pop(entry.id).kind == entry.kind and entry.status != "in_progress"
                if entry.kind == "message":
                    assert entry.spoken == spoken and (not spoken or entry.samples == sound)
            case api.TextOut(entry=entry) | api.ToolCall(entry=entry):
                assert entry in open_, deeds
            case api.AudioOut(entry=entry, at=at):
                assert entry in open_ and at == sound
                sound += len(output.pcm)
            case _:
                pass
    assert not open_ and places == list(range(len(places))), deeds


def test_what_a_mind_utters_itself_is_remembered_as_far_as_it_was_heard() -> None:
    reply = made(True, False)
    reply.think(Utter("one two three four", np.tile(SOUND, 4)))
    reply.end("client_cancelled", 960)
    (entry,) = reply.entries
    assert (entry.text, entry.samples, entry.status) == ("one two three four", 1920, "incomplete")
    assert entry.cut(960).text == "one two t"
    fed = made(True, False)
    fed.think(Say("never said"))
    fed.end("client_cancelled", 0)
    assert fed.entries[0].text == ""
