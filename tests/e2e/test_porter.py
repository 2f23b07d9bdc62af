"""The night porter as it comes with the package: a reservation that is spoken, and one that changes."""

import numpy as np

import vivavoce
from vivavoce.assistant.model import finished
from vivavoce.runtime.model import RATE


def test_a_reservation_is_heard_and_made():
    asked = "Can I have a single room from the third of March for two nights? My name is Carter, C A R T E R."
    spoken = np.concatenate(list(vivavoce.load().say(asked)))
    turn = vivavoce.load("porter").ask(np.pad(spoken, (0, RATE // 2)), speak=False)
    (call,) = turn.calls
    assert call["name"] == "reserve_room"
    assert call["arguments"] == {
        "room": "single room",
        "arrival": "march third",
        "nights": "two nights",
        "name": "carter",
    }


def test_a_reservation_changes():
    talk = vivavoce.load("porter").conversation()
    for line in ("a double room for tonight please", "with breakfast please"):
        turn = finished(talk.ask(line, speak=False))
    assert [call["arguments"].get("meals") for call in turn.calls] == ["breakfast"]
