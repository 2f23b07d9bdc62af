"""The engine, the activity detector, echo, and what keeps memory bounded."""

import jaxtyping
import numpy as np
import pytest
import torch

from vivavoce.core.errors import CapacityError
from vivavoce.core.talk import Say, Tool
from vivavoce.recipes.echoes import EchoesRun, frames
from vivavoce.runtime import api
from vivavoce.runtime.activity import SileroActivity, packaged_weights
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.echo import Echo
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import Beeping, ScriptedMind, ToneHearing, fake_model, silence, utter
from vivavoce.runtime.model import FRAME, Abilities, Context
from vivavoce.runtime.seats import MOST_WAITING_AUDIO


def settle(engine, seat):
    """Everything that happens until nothing more happens."""
    found = []
    while engine.step() or seat.outputs:
        while seat.outputs:
            found.append(seat.read())
    return found


def spoken(outputs):
    return [o.entry.text for o in outputs if isinstance(o, api.EntryDone) and o.entry.role == "assistant"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_our_silero_with_the_weights_of_their_module_says_the_same():
    theirs = torch.jit.load(packaged_weights().with_name("silero_vad.jit"))
    ours = SileroActivity()
    places = {"stft.forward_basis_buffer": "stft_conv.weight", "decoder.decoder.2": "final_conv"}
    places |= {"decoder.rnn": "lstm_cell"}
    places |= {f"encoder.{number}.reparam_conv": f"conv{number + 1}" for number in range(4)}
    weights = {}
    for name, value in theirs._model.state_dict().items():
        place = next(place for place in places if name.startswith(place))
        weights[name.replace(place, places[place])] = value
    ours.load_state_dict(weights)
    state = ours.init_state(2)
    dice = np.random.default_rng(0)
    t = np.arange(16_000) / 16_000
    voiced = 0.2 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 4 * t))
    low = (voiced + 0.01 * dice.standard_normal(16_000)).astype(np.float32)
    with torch.inference_mode():
        for start in range(0, 15_000 - 512, 512):
            window = torch.from_numpy(low[start : start + 512])
            state.buffer[:, :512], state.filled[:] = window, 512
            mine = ours._window(torch.tensor([0, 1]), state)
            assert mine[0] == pytest.approx(theirs(window, 16_000).item(), abs=1e-4) and mine[0] == mine[1]


def test_a_paused_row_of_the_activity_detector_does_not_change():
    ours = SileroActivity()
    state = ours.init_state(2)
    with torch.inference_mode():
        for _ in range(7):
            ours.step(torch.randn(2, FRAME) * 0.1, state, torch.tensor([True, True]))
        before = state.clone()
        ours.step(torch.randn(2, FRAME) * 0.1, state, torch.tensor([True, False]))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(state.tensors(), before.tensors(), strict=True))


def test_a_prepared_answer_is_thrown_away_when_speech_goes_on():
    asked: list[str] = []

    def answer(context: Context):
        asked.append(context.entries[-1].text)
        yield Say("well.")

    engine = LiveEngine(fake_model(answer), rows=1, threads=0)
    seat = engine.sit(SessionConfig())
    seat.push(api.AudioIn(np.concatenate([utter("a latte"), silence(400), utter(" please."), silence(900)])))
    outputs = settle(engine, seat)
    assert asked == ["a latte", "a latte please."]
    assert spoken(outputs) == ["well."] and sum(isinstance(o, api.TurnStarted) for o in outputs) == 1


def test_an_unfinished_sentence_is_waited_for():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind="semantic_vad")))
    seat.push(api.AudioIn(np.concatenate([utter("a large,"), silence(1200), utter(" latte."), silence(900)])))
    assert spoken(settle(engine, seat)) == ["you said: a large, latte."]


def test_a_cough_pauses_and_resumes_and_words_stop():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind="semantic_vad"), plays_here=True))
    seat.push(api.AudioIn(np.concatenate([utter("tell me a long story of dragons."), silence(900)])))
    settle(engine, seat)
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 300 * 24).astype(np.float32)
    seat.push(api.AudioIn(np.concatenate([noise, silence(600)])))
    kinds = [type(o).__name__ for o in settle(engine, seat)]
    assert kinds == ["Paused", "Resumed"]
    seat.push(api.AudioIn(np.concatenate([utter("what did you just say?"), silence(900)])))
    outputs = settle(engine, seat)
    assert [type(o).__name__ for o in outputs[:4]] == ["Paused", "UserSpeech", "Silenced", "EntryTruncated"]
    story = "you said: tell me a long story of dragons."
    heard = spoken(outputs)[-1].removeprefix("i said: ")
    assert story.startswith(heard) and len(heard) < len(story)


def test_a_slow_reader_makes_its_own_answer_wait():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind="none")))
    seat.push(api.Respond(api.ReplyOptions(recite="word " * 400)))
    while engine.step():
        pass
    assert MOST_WAITING_AUDIO <= seat.waiting_audio <= MOST_WAITING_AUDIO + 24_000
    assert sum(isinstance(o, api.TurnEnded) for o in settle(engine, seat)) == 1


def test_rows_are_given_back():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig())
    with pytest.raises(CapacityError, match="taken"):
        engine.sit(SessionConfig())
    engine.leave(seat)
    engine.step()
    engine.sit(SessionConfig())


def test_a_model_that_breaks_ends_its_answer_and_nobody_elses():
    class Broken(Beeping):
        def step(self, state, active):
            if active[0]:
                raise RuntimeError("out of breath")
            return super().step(state, active)

    parts = fake_model()
    model = Abilities(activity=parts.activity, hearing=ToneHearing(), thinking=ScriptedMind(), speaking=Broken())
    engine = LiveEngine(model, rows=2, threads=0)
    one, two = engine.sit(SessionConfig()), engine.sit(SessionConfig())
    one.push(api.Respond())
    ends = [o for o in settle(engine, one) if isinstance(o, api.TurnEnded)]
    assert (ends[0].why == "failed" and "out of breath" in ends[0].error) or "RuntimeError" in ends[0].error
    two.push(api.Respond())
    assert spoken(settle(engine, two)) == ["how can i help you?"]
    one.push(api.AudioIn(np.concatenate([utter("still there?"), silence(700)])))
    assert any(isinstance(o, api.Committed) for o in settle(engine, one))


def test_ears_that_break_at_the_end_of_a_turn_break_nothing_else():
    class Deaf(ToneHearing):
        def later(self, state, row):
            def fails():
                raise RuntimeError("no ears")

            return fails if row == 0 else super().later(state, row)

        def finish(self, state, row):
            return super().later(state, row)()

    parts = fake_model()
    model = Abilities(activity=parts.activity, hearing=Deaf(), thinking=ScriptedMind(), speaking=Beeping())
    engine = LiveEngine(model, rows=2, threads=0)
    one, two = engine.sit(SessionConfig()), engine.sit(SessionConfig())
    for seat in (one, two):
        seat.push(api.AudioIn(np.concatenate([utter("still there?"), silence(700)])))
    outputs = settle(engine, one)
    assert any(isinstance(o, api.Refused) and "RuntimeError" in o.message for o in outputs)
    assert spoken(outputs) == spoken(settle(engine, two)) == ["you said: still there?"]


def test_the_restyled_voice_stays_for_the_next_answer():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(reply_to_text=True))
    seat.push(api.TextIn("slower please"))
    settle(engine, seat)
    seat.push(api.TextIn("thanks"))
    started = [o for o in settle(engine, seat) if isinstance(o, api.TurnStarted)]
    assert started[0].config.voice.description == "slow"


def test_an_echo_is_known_from_somebody_else():
    dice = np.random.default_rng(1)

    def voice(seed):
        own = np.random.default_rng(seed)
        steps = np.repeat(own.uniform(0, 1, 60), 24 * 80)
        return (dice.standard_normal(len(steps)) * 0.1 * steps).astype(np.float32)

    ours, theirs = voice(3), voice(4)
    delayed = np.concatenate([np.zeros(3600, np.float32), 0.2 * ours])[: len(ours)]
    hiss = (dice.standard_normal(len(ours)) * 0.001).astype(np.float32)
    for mic, expected in ((delayed, True), (theirs, False), (delayed + theirs, False)):
        echo, chances = Echo(), []
        for start in range(0, 60 * FRAME, FRAME):
            echo.listen((mic + hiss)[start : start + FRAME], ours[start : start + FRAME])
            chances.append(echo.chance())
        assert np.mean([(chance > 0.5) is expected for chance in chances[-20:]]) > 0.9
    echo.listen(theirs[:FRAME], np.zeros(FRAME, np.float32))
    for _ in range(40):
        echo.listen(theirs[:FRAME], np.zeros(FRAME, np.float32))
    assert echo.chance() == 0.0


def test_the_recipe_of_echoes_finds_what_parts_them_from_people():
    dice = np.random.default_rng(0)
    clips = [
        (dice.standard_normal(60_000) * 0.1 * np.repeat(dice.uniform(0, 1, 50), 1200)).astype(np.float32)
        for _ in range(4)
    ]
    seen = list(frames(clips, EchoesRun(rooms=4, seconds=2.0), 1))
    explained = {alone: np.mean([each.evidence[1] for each in seen if each.alone == alone]) for alone in (True, False)}
    assert explained[True] > explained[False] + 3


def test_what_is_added_soon_after_an_answer_began_is_heard_with_what_it_is_added_to():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind="semantic_vad")))
    seat.push(api.AudioIn(np.concatenate([utter("a large latte."), silence(700)])))
    early = settle(engine, seat)
    assert any(isinstance(o, api.AudioOut) for o in early)
    seat.push(api.AudioIn(np.concatenate([utter(" with some milk."), silence(900)])))
    outputs = settle(engine, seat)
    entries = seat.conversation.history.entries
    assert [entry.text for entry in entries] == [
        "a large latte. with some milk.",
        "you said: a large latte. with some milk.",
    ]
    forgotten = {o.entry for o in outputs if isinstance(o, api.EntryDeleted)}
    assert forgotten == {o.entry.id for o in early if isinstance(o, api.EntryDone)}
    said = entries[0]
    assert said.audio is not None and len(said.audio) == said.samples > len(utter("a large latte.with some milk."))
    assert "".join(o.delta for o in outputs if isinstance(o, api.UserText)) == said.text
    assert [o.turn for o in outputs if isinstance(o, api.Silenced)] == [1]
    # a client that shortens what it played of the answer is not told off
    seat.push(api.Truncate(next(o.entry for o in early if isinstance(o, api.TextOut)), 9600))
    assert [type(o) for o in settle(engine, seat)] == [api.EntryTruncated]


def test_an_answer_that_called_a_function_is_not_forgotten():
    engine = LiveEngine(fake_model(), rows=1, threads=0)
    tools = (Tool(name="order_drink"),)
    seat = engine.sit(SessionConfig(turns=TurnConfig(kind="semantic_vad"), tools=tools))
    seat.push(api.AudioIn(np.concatenate([utter("a large latte."), silence(700)])))
    settle(engine, seat)
    seat.push(api.AudioIn(np.concatenate([utter(" with some milk."), silence(900)])))
    assert not any(isinstance(o, api.EntryDeleted) for o in settle(engine, seat))
    users = [entry.text for entry in seat.conversation.history.entries if entry.role == "user"]
    assert users == ["a large latte.", "with some milk."]


def test_answers_out_of_band_have_mouths_of_their_own_and_give_them_back():
    engine = LiveEngine(fake_model(), rows=2, threads=0)
    seat = engine.sit(SessionConfig())
    seat.push(api.Respond(api.ReplyOptions(recite="word " * 30)))
    for number in range(3):
        seat.push(api.Respond(api.ReplyOptions(recite=f"note {number}.", out_of_band=True)))
    outputs = settle(engine, seat)
    # two rows have one mouth to spare: one is said beside the answer, the others wait for it
    assert [o.turn for o in outputs if isinstance(o, api.TurnEnded)] == [2, 3, 4, 1]
    assert sum(isinstance(o, api.AudioOut) and o.turn == 2 for o in outputs) > 1
    seat.push(api.Respond(api.ReplyOptions(recite="word " * 30, out_of_band=True)))
    for _ in range(4):
        engine.step()
    engine.leave(seat)
    engine.step()
    assert engine._states.spare_speaker() is not None and engine._states.spare_speaker() is None


@pytest.mark.slow
def test_an_hour_of_sessions_leaves_nothing_behind(monkeypatch):
    import gc

    # shapes are checked everywhere else; here that would take three quarters of the time
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    engine = LiveEngine(fake_model(), rows=4, threads=0)
    piece = np.concatenate([silence(300), utter("hello there."), silence(900)])
    sizes, heard = [], 0
    for opened in range(0, 212, 4):
        seats = [engine.sit(SessionConfig()) for _ in range(4)]
        for seat in seats:
            for _ in range(8):
                seat.push(api.AudioIn(piece))
        while engine.step():
            pass
        for seat in seats:
            answers = spoken(settle(engine, seat))
            assert answers == ["you said: hello there."] * 8
            heard += 8 * len(piece)
            engine.leave(seat)
        engine.step()
        if opened in (100, 208):
            gc.collect()
            sizes.append(len(gc.get_objects()))
    assert heard >= 3600 * 24_000
    assert engine.taken == 0 and sizes[1] < sizes[0] * 1.02
