"""What overtakes what: inputs take effect in the order they came, and only what stops something overtakes sound."""

from dataclasses import replace

import numpy as np

from vivavoce.core.talk import Entry, Say
from vivavoce.core.voice import Voice
from vivavoce.runtime import api
from vivavoce.runtime.api import ReplyOptions, SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import fake_model, silence, utter

LONG = silence(4000)
STORY = ReplyOptions(recite="a long story of dragons and of gold that nobody ever found.")


def sat(answer=None, **settings) -> tuple[LiveEngine, Seat]:
    engine = LiveEngine(fake_model(answer), rows=1, threads=0)
    return engine, engine.sit(SessionConfig(**settings))


def read(seat: Seat) -> list[api.Output]:
    found = []
    while seat.outputs:
        found.append(seat.read())
    return found


def settle(engine: LiveEngine, seat: Seat) -> list[api.Output]:
    found = read(seat)
    while engine.step() or seat.outputs:
        found += read(seat)
    return found


def kinds(outputs: list[api.Output], *wanted: type) -> list[str]:
    return [type(output).__name__ for output in outputs if isinstance(output, wanted)]


def test_a_reply_keeps_the_settings_that_it_was_asked_for_with():
    engine, seat = sat(lambda context: iter([Say(context.instructions)]), instructions="old", tag=1)
    seat.push(api.AudioIn(LONG))
    seat.push(api.Respond())
    seat.push(api.Configure(SessionConfig(instructions="new", audio_out=False, tag=2)))
    seat.push(api.Respond(ReplyOptions(out_of_band=True)))
    outputs = settle(engine, seat)
    started = [output for output in outputs if isinstance(output, api.TurnStarted)]
    assert [(o.config.instructions, o.config.audio_out, o.config.tag) for o in started] == [
        ("old", True, 1),
        ("new", False, 2),
    ]
    assert [o.delta for o in outputs if isinstance(o, api.TextOut)] == ["old", "new"]
    assert kinds(outputs, api.TurnStarted, api.Configured) == ["TurnStarted", "Configured", "TurnStarted"]


def test_what_waits_for_a_mouth_keeps_its_settings_too():
    engine, seat = sat(lambda context: iter([Say(f"{context.instructions} {'and on ' * 20}")]), instructions="old")
    for _ in range(3):
        seat.push(api.Respond(ReplyOptions(out_of_band=True)))
    seat.push(api.Configure(SessionConfig(instructions="new")))
    outputs = settle(engine, seat)
    assert {o.config.instructions for o in outputs if isinstance(o, api.TurnStarted)} == {"old"}


def test_an_answer_that_was_prepared_under_other_settings_is_not_given():
    engine, seat = sat(lambda context: iter([Say(context.instructions)]), instructions="old")
    seat.push(api.AudioIn(np.concatenate([utter("hello."), silence(400)])))
    settle(engine, seat)
    seat.push(api.Configure(SessionConfig(instructions="new")))
    seat.push(api.AudioIn(silence(600)))
    assert [o.delta for o in settle(engine, seat) if isinstance(o, api.TextOut)] == ["new"]


def test_stopping_overtakes_sound_that_was_not_heard():
    engine, seat = sat()
    seat.push(api.Respond(STORY))
    for _ in range(5):
        engine.step()
    seat.push(api.AudioIn(LONG))
    seat.push(api.Add(Entry(id="later", text="hi")))
    seat.push(api.Stop())
    engine.step()
    outputs = read(seat)
    assert [o.why for o in outputs if isinstance(o, api.TurnEnded)] == ["client_cancelled"]
    assert not kinds(outputs, api.EntryAdded)[1:], "what waits behind the sound still waits"
    assert kinds(settle(engine, seat), api.EntryAdded, api.TurnStarted) == ["EntryAdded"]


def test_stopping_does_not_overtake_what_it_stops():
    engine, seat = sat()
    seat.push(api.Respond(STORY))
    seat.push(api.Stop(tag="stop"))
    outputs = settle(engine, seat)
    assert kinds(outputs, api.TurnStarted, api.TurnEnded, api.Refused) == ["TurnStarted", "TurnEnded"]
    # behind sound it begins and ends when its turn comes; what is out of band and what comes after goes on
    for waits in (api.AudioIn(LONG), api.Add(Entry(id="heard", spoken=True, audio=np.zeros(4800, np.int16)))):
        seat.push(waits)
        seat.push(api.Respond(ReplyOptions(recite="no.", tag="first")))
        seat.push(api.Respond(ReplyOptions(recite="apart.", tag="apart", out_of_band=True)))
        seat.push(api.Stop(tag="stop"))
        seat.push(api.Respond(ReplyOptions(recite="yes.", tag="second")))
        outputs = settle(engine, seat)
        tags = {o.turn: o.options.tag for o in outputs if isinstance(o, api.TurnStarted)}
        ended = {tags[o.turn]: o.why for o in outputs if isinstance(o, api.TurnEnded)}
        assert ended == {"first": "client_cancelled", "apart": "completed", "second": "completed"}
        assert {tags[o.turn] for o in outputs if isinstance(o, api.AudioOut)} == {"apart", "second"}
        assert not kinds(outputs, api.Refused)


def test_a_recording_that_is_answered_can_be_cancelled_while_it_is_heard():
    engine, seat = sat()
    sound = Entry(id="sound", spoken=True, audio=(utter("hello.") * 32767).astype(np.int16), samples=11_520)
    seat.push(api.Respond(ReplyOptions(input=(sound,), tag="asked")))
    seat.pull()
    seat.push(api.Stop())
    outputs = settle(engine, seat)
    assert kinds(outputs, api.TurnStarted, api.TurnEnded, api.TextOut, api.Refused) == ["TurnStarted", "TurnEnded"]


def test_answers_are_played_one_after_the_other_and_cut_together():
    engine, seat = sat(turns=TurnConfig(kind="server_vad"), plays_here=True)
    for text in ("one two three four five.", "six seven eight nine."):
        seat.push(api.Respond(ReplyOptions(recite=text)))
        settle(engine, seat)
    seat.push(api.Played(1, 9 * 1920))  # "one two "
    seat.push(api.AudioIn(utter("stop.")))
    outputs = settle(engine, seat)
    assert [o.turn for o in outputs if isinstance(o, api.Silenced)] == [1, 2]
    first, second = (entry.text for entry in seat.conversation.history.entries if entry.role == "assistant")
    assert first == "one two" and second == ""


def test_what_is_cancelled_plays_on_until_it_is_hushed_where_we_play():
    engine, seat = sat(turns=TurnConfig(kind="none"), plays_here=True)
    seat.push(api.Respond(STORY))
    for _ in range(12):
        engine.step()
    seat.push(api.Stop())
    seat.push(api.Played(1, 12_000))
    engine.step()
    assert not kinds(read(seat), api.Silenced)
    seat.push(api.Hush())
    outputs = settle(engine, seat)
    assert [(o.turn) for o in outputs if isinstance(o, api.Silenced)] == [1]
    assert [o.samples for o in outputs if isinstance(o, api.EntryTruncated)] == [12_000]
    assert seat.conversation.history.entries[-1].text == "a long"


def test_what_cannot_be_truncated_is_not_stopped_either():
    engine, seat = sat(turns=TurnConfig(kind="none"))
    seat.push(api.Respond(STORY))
    for _ in range(4):
        engine.step()
    item = next(o.entry.id for o in read(seat) if isinstance(o, api.EntryAdded))
    seat.push(api.Truncate(item, 24_000 * 60))
    outputs = settle(engine, seat)
    assert [o.code for o in outputs if isinstance(o, api.Refused)] == ["invalid_value"]
    assert [o.why for o in outputs if isinstance(o, api.TurnEnded)] == ["completed"]


def test_an_item_that_is_deleted_while_it_is_made_is_gone():
    engine, seat = sat(turns=TurnConfig(kind="none"))
    seat.push(api.Respond(STORY))
    for _ in range(4):
        engine.step()
    item = next(o.entry.id for o in read(seat) if isinstance(o, api.EntryAdded))
    seat.push(api.Delete(item))
    outputs = settle(engine, seat)
    assert [o.gone for o in outputs if isinstance(o, api.EntryDone)] == [True]
    assert not seat.conversation.history.entries


def test_what_was_thought_and_never_said_is_not_remembered():
    engine, seat = sat(turns=TurnConfig(kind="none"))
    seat.push(api.Respond(STORY))
    for _ in range(4):
        engine.step()
    seat.push(api.Stop())
    settle(engine, seat)
    text = seat.conversation.history.entries[-1].text
    assert text and STORY.recite and STORY.recite.startswith(text) and len(text) < 12


def test_a_way_of_speaking_that_was_asked_for_outlives_other_settings():
    engine, seat = sat(turns=TurnConfig(kind="none"), voice=Voice(name="alloy"))
    seat.push(api.Add(Entry(id="one", text="slower please")))
    seat.push(api.Respond())
    settle(engine, seat)
    for voice, expected in (("alloy", "slow"), ("echo", "")):
        seat.push(api.Configure(SessionConfig(turns=TurnConfig(kind="none"), voice=Voice(name=voice))))
        seat.push(api.Respond(ReplyOptions(recite="yes.")))
        (started,) = [o for o in settle(engine, seat) if isinstance(o, api.TurnStarted)]
        assert started.config.voice.description == expected


def test_words_that_go_on_while_detection_is_switched_keep_their_item():
    engine, seat = sat(turns=TurnConfig(kind="server_vad"))
    seat.push(api.AudioIn(utter("hello there.")))
    announced = next(o.entry for o in settle(engine, seat) if isinstance(o, api.UserSpeech))
    seat.push(api.Configure(SessionConfig(turns=TurnConfig(kind="none"))))
    seat.push(api.Commit())
    committed = next(o.entry for o in settle(engine, seat) if isinstance(o, api.Committed))
    assert committed == announced


def test_instructions_reach_the_mind():
    engine, seat = sat(lambda context: iter([Say(context.instructions or "none.")]), instructions="be brief.")
    asked = [ReplyOptions(), ReplyOptions(instructions="greet."), ReplyOptions(instructions="", out_of_band=True)]
    said = []
    for event in [*map(api.Respond, asked), api.AudioIn(np.concatenate([utter("hello."), silence(900)]))]:
        seat.push(event)
        said += [o.delta for o in settle(engine, seat) if isinstance(o, api.TextOut)]
    assert said == ["be brief.", "greet.", "none.", "be brief."]


def test_a_mouth_that_another_conversation_gives_back_is_taken():
    engine = LiveEngine(fake_model(), rows=2, threads=0)  # two conversations and one spare mouth
    one, two = engine.sit(SessionConfig()), engine.sit(SessionConfig())
    one.push(api.Respond(replace(STORY, out_of_band=True)))
    engine.step()
    two.push(api.Respond(ReplyOptions(recite="me too.", out_of_band=True)))
    settle(engine, one)
    assert kinds(read(two), api.TurnEnded) == ["TurnEnded"]
