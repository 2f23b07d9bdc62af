"""Speaking in whole phrases beside the clock: nothing is lost, nothing waits, and what is not wanted is ended."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from vivavoce.assistant.reading import Breathing
from vivavoce.assistant.synthesis import BreathSound, PhraseMouth, no_voice
from vivavoce.core.errors import SpeakerError, TextError, VoiceError
from vivavoce.core.talk import Word
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime import api
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import decode, fake_model, utter

ON = torch.ones(1, dtype=torch.bool)
TEXT = "Yes, of course. The quick brown fox jumps over the lazy dog and goes home to sleep, as foxes do."


class Tones:
    """Says words in tones; waits for ``go`` where it is cleared."""

    name, lengths, at_once, reads, voices = "tones", (20, 60), 1, True, ("one", "two")

    def __init__(self) -> None:
        self.go, self.said, self.ended = threading.Event(), [], threading.Event()
        self.go.set()

    def style(self, voice):
        if voice.name not in (*self.voices, "default"):
            raise no_voice(self.name, voice, self.voices)
        return voice.name

    def sound(self, text, breath, voice, stop):
        self.said.append(text)
        with stop.by(self.ended.set):
            assert self.go.wait(20) or stop
        if stop:
            return
        if "broken" in text:
            raise SpeakerError("the wire is cut")
        for word in breath.words:
            pcm = utter(f"{word.text} ")
            yield BreathSound(pcm, (Word(word.text, 0, len(pcm), span=(word.begin, word.end)),))


def spoken(mouth, *pieces):
    state = mouth.init_state(1)
    mouth.begin(state, 0, Voice(), 0)
    given = []
    for number, piece in enumerate(pieces):
        mouth.feed(state, 0, piece, number == len(pieces) - 1)
        while (step := mouth.step(state, ON)[0]) is not None:
            given.append(step)
            if step.done:
                return given
    return given


@pytest.mark.parametrize("size", (1, 7, 1000))
def test_every_word_is_said_once_with_its_place_however_the_text_arrives(size):
    given = spoken(PhraseMouth(Tones()), *(TEXT[at : at + size] for at in range(0, len(TEXT), size)))
    words = [word for step in given for word in step.words]
    assert [TEXT[slice(*word.span)].lower() for word in words] == TEXT.replace(",", "").replace(".", "").lower().split()
    assert given[-1].done and sum(step.done for step in given) == 1
    assert decode(np.concatenate([step.pcm for step in given])).replace(".", "") == " ".join(
        word.text for word in words
    )


def test_the_first_breath_is_short_and_numbers_stay_whole():
    reading = Breathing()
    reading.read("The population of the whole city is about 2102650 people in this very year.", last=True)
    first = reading.breath(30, hungry=True)
    assert first is not None and first.end - first.begin <= 34
    rest = reading.breath(200, hungry=True)
    assert rest is not None and reading.breath(200, hungry=True) is None
    for breath in (first, rest):
        assert all(breath.begin <= word.begin and word.end <= breath.end for word in breath.words)
    number = [word for word in rest.words if (word.begin, word.end) == (42, 49)]
    assert len(number) > 5, "the digits were torn apart"


def outputs(seat: Seat) -> list[api.Output]:
    return [seat.read() for _ in range(len(seat.outputs))]


def until(seat: Seat, kind: type) -> list[api.Output]:
    """What comes up to the first of a kind; the clock is woken by the voice, nobody asks it."""
    came, ready = [], threading.Event()
    seat.notify = ready.set
    while not any(isinstance(output, kind) for output in came):
        assert ready.wait(20)
        ready.clear()
        came += outputs(seat)
    return came


@pytest.fixture
def live():
    tones = Tones()
    engine = LiveEngine(replace(fake_model(), speaking=PhraseMouth(tones)), rows=2)
    yield tones, engine
    tones.go.set()
    engine.stop()


def quiet(voice: str = "default") -> api.SessionConfig:
    return api.SessionConfig(turns=api.TurnConfig(kind="none"), voice=Voice.preset(voice))


def test_the_clock_does_not_wait_for_a_voice(live):
    tones, engine = live
    tones.go.clear()
    slow, other = engine.sit(quiet()), engine.sit(replace(quiet(), audio_out=False))
    slow.push(api.Respond(api.ReplyOptions(recite="This takes long.")))
    engine.wake()
    other.push(api.Respond(api.ReplyOptions(recite="This does not.")))
    engine.wake()
    assert [o.why for o in until(other, api.TurnEnded) if isinstance(o, api.TurnEnded)] == ["completed"]
    tones.go.set()
    came = until(slow, api.TurnEnded)
    assert decode(np.concatenate([o.pcm for o in came if isinstance(o, api.AudioOut)])) == "this takes long"


def test_what_is_not_wanted_any_more_is_ended_while_it_is_made(live):
    tones, engine = live
    tones.go.clear()
    seat = engine.sit(quiet())
    seat.push(api.Respond(api.ReplyOptions(recite="Never mind.")))
    engine.wake()
    until(seat, api.TextOut)
    while not tones.said:
        tones.ended.wait(0.01)
    engine.leave(seat)
    assert tones.ended.wait(20)


def test_where_the_voice_fails_the_text_stands_and_whoever_runs_it_is_told(live):
    _, engine = live
    seat = engine.sit(quiet())
    seat.push(api.Respond(api.ReplyOptions(recite="Well. This is broken. And more.")))
    engine.wake()
    came = until(seat, api.TurnEnded)
    refused = [o for o in came if isinstance(o, api.Refused)]
    assert [(o.code, o.message) for o in refused] == [("speaking_failed", "the wire is cut")]
    assert decode(np.concatenate([o.pcm for o in came if isinstance(o, api.AudioOut)])) == "well"
    ended = next(o for o in came if isinstance(o, api.TurnEnded))
    done = next(o for o in came if isinstance(o, api.EntryDone) and o.entry.role == "assistant")
    assert ended.why == "completed" and done.entry.text == "Well. This is broken. And more."


def test_a_voice_that_there_is_not_ends_the_answer_with_what_there_is(live):
    _, engine = live
    seat = engine.sit(replace(quiet(), voice=Voice.described("an old wizard")))
    seat.push(api.Respond(api.ReplyOptions(recite="Well.")))
    engine.wake()
    ended = next(o for o in until(seat, api.TurnEnded) if isinstance(o, api.TurnEnded))
    assert ended.why == "failed" and "'an old wizard'; its voices are one, two" in ended.error


def test_nothing_to_say_is_refused():
    with pytest.raises(TextError, match="nothing to say"):
        spoken(PhraseMouth(Tones()), "...")
    with pytest.raises(VoiceError, match="cannot imitate a recording"):
        raise no_voice("tones", Voice.like(b"x", Consent("I")), ())
