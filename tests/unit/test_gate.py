"""Where somebody speaks, from the head's log-odds; and what turn-taking makes of a turn in which nobody did."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.assistant.gate import Following, SpeechEvidence, averaged, silenced
from vivavoce.core.talk import Heard, Word
from vivavoce.evals.word_errors import distance, matched
from vivavoce.models.listener import SpeechConfig
from vivavoce.runtime import turn_events as t
from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.model import FRAME
from vivavoce.runtime.turns import Turns

CONFIG = SpeechConfig(frames=5, begins=2.0, holds=-1.0, slope=1.5)
ODDS = st.lists(st.integers(-80, 80), max_size=60).map(lambda quarters: np.array(quarters, float) / 4)


@given(ODDS, st.integers(1, 9))
def test_averages_are_those_of_the_frames_around(odds: np.ndarray, frames: int) -> None:
    found = averaged(odds, frames)
    for place, value in enumerate(found):
        around = odds[max(0, place - frames // 2) : place + (frames + 1) // 2]
        assert np.isclose(value, around.mean(), atol=1e-6)
    assert len(found) == len(odds)


@given(ODDS)
def test_a_stretch_is_spoken_where_it_is_sure_somewhere_and_held_throughout(odds: np.ndarray) -> None:
    spoken = SpeechEvidence(odds, CONFIG).spoken
    assert spoken.any() == bool((odds >= CONFIG.begins).any())
    assert spoken[odds >= CONFIG.begins].all()
    # what is more evidence never takes a frame away
    assert not (spoken & ~SpeechEvidence(odds + 1, CONFIG).spoken).any()


def test_what_is_held_without_ever_being_sure_is_no_speech() -> None:
    odds = np.full(60, -9.0)
    odds[10:20] = 1.9
    odds[40:44] = 2.1
    odds[44:48] = 0.0
    assert np.flatnonzero(SpeechEvidence(odds, CONFIG).spoken).tolist() == list(range(35, 53))


def test_the_chance_of_speech_is_even_where_it_begins() -> None:
    assert SpeechEvidence(np.array([-5.0, 2.0, -5.0]), CONFIG).chance() == 0.5
    assert SpeechEvidence(np.array([-5.0, 2.0, -5.0]), CONFIG).chance(2) < 0.01
    assert SpeechEvidence(np.array([9.0]), CONFIG).chance() > 0.99
    assert SpeechEvidence(np.zeros(0), CONFIG).chance() == 0.0


@given(ODDS)
def test_followed_chunk_by_chunk_nothing_is_shut_that_is_open_as_a_whole(odds: np.ndarray) -> None:
    whole = averaged(odds, 1)
    following = Following()
    one = SpeechConfig(frames=1, begins=2.0, holds=-1.0)
    for begin in range(0, len(odds), 4):
        chunk = odds[begin : begin + 4]
        assert following.more(chunk, one) or not (whole[begin : begin + 4] > one.holds).any()
    assert following.highest == (odds.max() if len(odds) else -np.inf)


def test_where_nobody_speaks_the_search_sees_blanks() -> None:
    ctc = np.log(np.full((8, 40), 1 / 40))
    spoken = np.array([False, True, True, False])
    made = silenced(ctc, spoken)
    assert np.array_equal(made[2:6], ctc[2:6]) and not np.shares_memory(made, ctc)
    for row in (*made[:2], *made[6:]):
        assert row.argmax() == 0 and row[0] > np.log(0.999) and np.isclose(np.exp(row).sum(), 1)
    assert silenced(ctc, np.ones(4, bool)) is ctc


def test_words_stay_inside_their_turn() -> None:
    heard = Heard((Word("a", 0, 500), Word("b", 900, 1200)), 0.5).until(1000)
    assert [(word.start, word.end) for word in heard.words] == [(0, 500), (900, 1000)]


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_right_words_are_those_that_the_fewest_errors_leave(wanted: list[str], got: list[str]) -> None:
    right = matched(wanted, got)
    assert len(right) == len(got)
    assert distance(wanted, got) >= max(len(wanted), len(got)) - sum(right)
    kept = [word for word, fits in zip(got, right, strict=True) if fits]
    rest = iter(wanted)
    assert all(word in rest for word in kept)


# ---- turns ----


def played(speech: float, kind: str = "semantic_vad") -> list[t.Action]:
    """Half a second that the detector takes for speech, then silence; as a whole it is speech with this probability."""
    turns = Turns(TurnConfig(kind=kind))
    found: list[t.Action] = []
    for number in range(60):
        loud = number < 12
        now = (number + 1) * FRAME
        actions = list(turns.on(t.MicFrame(0.9 if loud else 0.0, 0.0, -20.0 if loud else -80.0), now))
        if any(isinstance(action, t.Judge) for action in actions):
            actions += turns.on(t.Judged(0.9 if speech > 0.5 else 0.0, 2, 0.0, True, speech), now)
        found += actions
    return found


def test_a_turn_in_which_nobody_spoke_ends_soon_and_is_not_answered() -> None:
    for kind in ("semantic_vad", "server_vad"):
        said, noise = ([type(action) for action in played(speech, kind)] for speech in (0.99, 0.01))
        for actions in (said, noise):
            assert [a for a in actions if a in (t.SpeechStarted, t.SpeechStopped, t.CommitInput)] == [
                t.SpeechStarted, t.SpeechStopped, t.CommitInput,
            ]  # fmt: skip
        assert t.BeginReply in said and t.Prepare in said
        assert t.BeginReply not in noise and t.Prepare not in noise


def test_noise_while_we_speak_is_no_interruption() -> None:
    for speech, stops in ((0.99, True), (0.01, False)):
        turns = Turns(TurnConfig(kind="semantic_vad"))
        turns.answer_began(1)
        turns.playback.grew(1, 100 * FRAME)
        found: list[t.Action] = []
        for number in range(30):
            now = (number + 1) * FRAME
            loud = 5 <= number < 20
            actions = list(turns.on(t.MicFrame(0.9 if loud else 0.0, 0.0, -20.0 if loud else -80.0), now))
            if any(isinstance(action, t.Judge) for action in actions):
                actions += turns.on(t.Judged(0.0, 0, 0.1, True, speech), now)
            found += actions
        kinds = [type(action) for action in found]
        assert (t.Cut in kinds or t.Withdraw in kinds) == stops
        assert (t.Resume in kinds) != stops
