"""Laws of turn-taking: whatever is said and done, every turn starts and ends once, in order, then is silent."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.talk import Entry
from vivavoce.runtime import api, endings, interruptions, turn_events, turns
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import fake_model, silence, utter
from vivavoce.runtime.model import FRAME

KINDS = st.sampled_from(["server_vad", "semantic_vad", "none"])
WORDS = st.sampled_from(["hello.", "mhm", "a large latte,", "stop.", "what did you just say?", "order"])


def noise(ms):
    return np.random.default_rng(0).uniform(-0.3, 0.3, ms * 24).astype(np.float32)


# Made in the test and not while they are drawn: checks of shapes take random numbers, and drawing must not.
DEEDS = st.one_of(
    WORDS.map(lambda text: lambda: api.AudioIn(utter(text))),
    st.integers(40, 1500).map(lambda ms: lambda: api.AudioIn(silence(ms))),
    st.integers(40, 400).map(lambda ms: lambda: api.AudioIn(noise(ms))),
    st.just(api.Commit),
    st.just(api.Clear),
    st.just(api.Stop),
    st.just(api.Hush),
    st.just(api.Respond),
    st.just(lambda: api.Respond(api.ReplyOptions(out_of_band=True, audio_out=False))),
    st.integers(0, 4).map(lambda turn: lambda: api.Played(turn, 9000)),
    st.integers(1, 9).map(lambda number: lambda: api.Truncate(f"item_{number:08x}", 9600)),
    st.integers(1, 9).map(lambda number: lambda: api.Delete(f"item_{number:08x}")),
    WORDS.map(lambda text: lambda: api.TextIn(text)),
    KINDS.map(lambda kind: lambda: api.Configure(SessionConfig(turns=TurnConfig(kind=kind)))),
)


def outcome(seat: Seat) -> list[api.Output]:
    found = []
    while seat.outputs:
        found.append(seat.read())
    return found


@settings(max_examples=15, deadline=None)
@given(st.lists(DEEDS, max_size=8), KINDS, st.booleans(), st.lists(st.integers(0, 5), max_size=8))
def test_every_turn_starts_once_ends_once_and_then_is_silent(deeds, kind, plays_here, pauses):
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind=kind), plays_here=plays_here))
    outputs: list[api.Output] = []
    for number, deed in enumerate(deeds):
        seat.push(deed())
        for _ in range(pauses[number] if number < len(pauses) else 0):
            engine.step()
    while engine.step():
        outputs += outcome(seat)
    outputs += outcome(seat)
    started = {o.turn: o.options.out_of_band for o in outputs if isinstance(o, api.TurnStarted)}
    ended = [o.turn for o in outputs if isinstance(o, api.TurnEnded)]
    assert sorted(started) == sorted(ended) and len(set(ended)) == len(ended)
    open_turns: set[int] = set()
    for output in outputs:
        match output:
            case api.TurnStarted(turn):
                # only what is said out of band is said beside something else
                assert started[turn] or all(started[other] for other in open_turns)
                open_turns.add(turn)
            case api.TextOut(turn) | api.AudioOut(turn) | api.ToolCall(turn):
                assert turn in open_turns
            case api.TurnEnded(turn):
                open_turns.remove(turn)
    added = Counter(o.entry.id for o in outputs if isinstance(o, api.EntryAdded))
    done = Counter(o.entry.id for o in outputs if isinstance(o, api.EntryDone))
    assert added == done and set(added.values()) <= {1}
    commits = [o for o in outputs if isinstance(o, api.UserSpeech)]
    assert all(a.on != b.on for a, b in pairwise(commits) if a.entry == b.entry)


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=30), KINDS.filter(lambda kind: kind != "none"))
def test_how_sound_is_cut_into_messages_changes_nothing(sizes, kind):
    sound = np.concatenate([silence(300), utter("a latte, now."), silence(1200), utter("stop."), silence(800)])

    def held(pieces):
        engine = LiveEngine(fake_model(), rows=1, threads=0)
        seat = engine.sit(SessionConfig(turns=TurnConfig(kind=kind)))
        for piece in pieces:
            seat.push(api.AudioIn(piece))
        while engine.step():
            pass
        return [(type(o).__name__, getattr(o, "at", None)) for o in outcome(seat) if not isinstance(o, api.AudioOut)]

    bounds = np.minimum(np.cumsum(sizes), len(sound))
    assert held(np.split(sound, bounds)) == held([sound])


@settings(max_examples=3, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=2), st.lists(st.integers(0, 2), min_size=1, max_size=3))
def test_conversations_on_other_rows_change_nothing(mine, others):
    def said(rows, neighbours):
        engine = LiveEngine(fake_model(), rows=rows, threads=0)
        seat = engine.sit(SessionConfig())
        rest = [engine.sit(SessionConfig()) for _ in range(rows - 1)]
        for text in mine:
            seat.push(api.AudioIn(np.concatenate([utter(text), silence(900)])))
        for number in neighbours:
            rest[number].push(api.AudioIn(np.concatenate([utter("something else."), silence(700)])))
        while engine.step():
            pass
        ends = [(o.entry.text, o.entry.status) for o in outcome(seat) if isinstance(o, api.EntryDone)]
        return ends

    assert said(1, []) == said(4, others)


@settings(deadline=None)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(0, 200_000))
def test_text_and_sound_are_cut_at_the_same_moment(lengths, at):
    words, place = [], 0
    for number, length in enumerate(lengths):
        words.append(api.Word(f"w{number}", place, place + length * 1000))
        place += length * 1000 + 500
    text = " ".join(word.text for word in words)
    whole = Entry(
        id="x",
        role="assistant",
        text=text,
        words=tuple(words),
        spoken=True,
        samples=place,
        audio=np.zeros(place, np.int16),
    )
    cut = whole.cut(at)
    assert text.startswith(cut.text) and cut.text.split() == [word.text for word in cut.words]
    assert all(word.start <= at for word in cut.words) and cut.audio is not None and len(cut.audio) == cut.samples
    assert cut.cut(at).text == cut.text


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["low", "medium", "high", "auto"]))
def test_the_surer_the_shorter_the_wait(one, other, eagerness):
    less, more = sorted((one, other))
    assert endings.wait_ms(more, eagerness) <= endings.wait_ms(less, eagerness) <= endings.LONGEST_WAIT_MS[eagerness]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=120), KINDS)
def test_speech_starts_and_stops_in_turn(chances, kind):
    machine, floor = turns.Turns(TurnConfig(kind=kind)), False
    for number, chance in enumerate(chances, 1):
        for action in machine.on(turn_events.MicFrame(chance), number * FRAME):
            if isinstance(action, turn_events.SpeechStarted):
                assert not floor
                floor = True
            if isinstance(action, turn_events.SpeechStopped):
                assert floor and action.at <= number * FRAME
                floor = False
    assert kind != "none" or not floor


def talked(machine: turns.Turns, chances: list[float], now: int = 0, aside: float = 0.0) -> list[turn_events.Action]:
    """What is done while the microphone gives these; all that is asked for is judged at once."""
    done: list[turn_events.Action] = []
    for chance in chances:
        now += FRAME
        for action in machine.on(turn_events.MicFrame(chance, level_db=-20.0 if chance > 0.5 else -60.0), now):
            done.append(action)
            if isinstance(action, turn_events.Judge):
                done += machine.on(turn_events.Judged(0.9, 2, aside, whole=True), now)
    return done


@settings(deadline=None)
@given(st.integers(0, 60), st.sampled_from(["server_vad", "semantic_vad"]), st.booleans())
def test_only_an_answer_to_speech_that_has_hardly_begun_is_withdrawn(frames, kind, asked):
    machine = turns.Turns(TurnConfig(kind=kind))
    if asked:
        assert turn_events.BeginReply() in talked(machine, [0.9] * 20 + [0.0] * 40)
    machine.answer_began(1)
    machine.playback.grew(1, 200 * FRAME)
    quiet = talked(machine, [0.0] * frames, 60 * FRAME)
    assert not any(isinstance(action, turn_events.Cut | turn_events.Withdraw) for action in quiet)
    dropped = [a for a in talked(machine, [0.9] * 30) if isinstance(a, turn_events.Cut | turn_events.Withdraw)]
    assert len(dropped) == 1
    early = dropped[0].heard <= turns.HARDLY_BEGUN
    assert isinstance(dropped[0], turn_events.Withdraw) == (early and asked and kind == "semantic_vad")


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 3))
def test_whoever_pauses_us_stops_us_or_lets_us_go_on(voiced, aside, gap):
    machine = turns.Turns(TurnConfig(kind="semantic_vad"))
    machine.answer_began(1)
    machine.playback.grew(1, 500 * FRAME)
    done = talked(machine, [0.0] * 40 + [0.9] * voiced + [0.0] * gap + [0.9] * voiced + [0.0] * 40, 0, aside)
    paused = 0
    for action in done:
        paused += isinstance(action, turn_events.Pause) - isinstance(action, turn_events.Resume)
        assert paused in (0, 1)
        if isinstance(action, turn_events.Cut):
            return
    assert paused == 0
    # nobody who went on for long was overheard
    assert voiced * FRAME < interruptions.LONGEST_HUM


@settings(deadline=None)
@given(st.lists(st.floats(0.5, 1), min_size=1, max_size=60))
def test_our_own_echo_neither_pauses_nor_stops_us(chances):
    machine = turns.Turns(TurnConfig(kind="semantic_vad"))
    machine.answer_began(1)
    machine.playback.grew(1, 500 * FRAME)
    for number, chance in enumerate(chances, 1):
        for action in machine.on(turn_events.MicFrame(chance, echo=0.9), number * FRAME):
            assert not isinstance(action, turn_events.Pause | turn_events.Cut | turn_events.SpeechStarted)


def test_who_may_not_interrupt_any_more_lets_us_go_on():
    machine = turns.Turns(TurnConfig(kind="semantic_vad"))
    machine.answer_began(1)
    machine.playback.grew(1, 500 * FRAME)
    assert turn_events.Pause(1) in talked(machine, [0.0] * 5 + [0.9] * 4)
    machine.config = TurnConfig(kind="semantic_vad", interrupt_response=False)
    assert turn_events.Resume(1) in talked(machine, [0.9] * 30, 9 * FRAME)
    assert machine.playback.sounding
