"""Synthesis programs read aloud what they are given, in voices drawn by seed; held-out voices never teach."""

import shutil

import numpy as np
import pytest

from vivavoce.core.errors import MissingExtra, VoiceError
from vivavoce.data.synthesis import LISTENING_RATE, SPEAKING_RATE, Reading, readings, sayable, speak
from vivavoce.data.voices import ENGINES, SynthesisVoice, held_out, training_voices, unseen_voices
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import PHONE_IDS, SIL
from vivavoce.text.pronounce import pronunciations

TEXT = "can I get a sixteen ounce latte with almond milk"


def _needs(engine: str) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"the program {engine} is not installed")


def test_festival_is_wholly_held_out_and_others_in_part():
    assert training_voices("festival") == [] and len(unseen_voices("festival")) >= 3
    for engine in ("espeak-ng", "flite"):
        teaching, testing = set(training_voices(engine)), set(unseen_voices(engine))
        assert teaching and testing and not teaching & testing
        assert len(testing) < len(teaching)
    assert held_out("festival", "kal_diphone") and held_out("flite", "awb") and not held_out("flite", "slt")
    assert (
        held_out("espeak-ng", "en-us+m4")
        and held_out("espeak-ng", "en-gb-x-gbclan")
        and not held_out("espeak-ng", "en-us+m1")
    )
    assert SynthesisVoice("espeak-ng", "en-us+f2").sex == "F" and SynthesisVoice("flite", "rms").sex == "M"


def test_readings_are_drawn_by_seed_and_keep_to_their_side():
    texts = [f"number {n}" for n in range(300)]
    drawn = readings(texts, 1)
    assert drawn == readings(texts, 1) != readings(texts, 2)
    assert [reading.text for reading in drawn] == texts
    assert not any(held_out(reading.engine, reading.voice) for reading in drawn)
    assert {reading.engine for reading in drawn} == {"espeak-ng", "flite"}
    assert all(held_out(r.engine, r.voice) for r in readings(texts, 1, unseen=True))
    assert len({reading.voice for reading in drawn}) > 100
    with pytest.raises(VoiceError, match="held out"):
        readings(texts, 1, engines={"festival": 1.0})
    with pytest.raises(VoiceError, match="no synthesis engine"):
        readings(texts, 1, engines={"siri": 1.0})


@pytest.mark.parametrize(
    ("engine", "voice", "rate"),
    [("espeak-ng", "en-us+f2", 16_000), ("espeak-ng", "en-gb-scotland+Mr serious", 24_000), ("flite", "slt", 16_000),
     ("flite", "kal16", 24_000), ("festival", "kal_diphone", 16_000), ("festival", "cmu_us_slt_arctic_hts", 24_000)],
)  # fmt: skip
def test_it_speaks(engine: str, voice: str, rate: int):
    _needs(engine)
    reading = Reading(text=TEXT, engine=engine, voice=voice)
    (spoken,) = speak([reading], sample_rate=rate, workers=1)
    assert spoken.sample_rate == rate and spoken.wave.dtype == np.float32 and spoken.wave.ndim == 1
    assert 1.0 < spoken.seconds < 8.0 and np.abs(spoken.wave).max() <= 1.5
    assert (spoken.phones is None) == (engine == "espeak-ng")
    if spoken.phones:
        assert spoken.phones[0].start == 0.0 and abs(spoken.phones[-1].end - spoken.seconds) < 0.3
        for one, then in zip(spoken.phones, spoken.phones[1:], strict=False):
            assert one.start < one.end == then.start
        said = [timed.phone.symbol for timed in spoken.phones if timed.phone.symbol != SIL]
        assert all(symbol in PHONE_IDS for symbol in said)
        place = 0
        for word in normalise(TEXT):  # in one of our dictionary's ways, word by word
            forms = [[phone.symbol for phone in form] for form in pronunciations(word)]
            fits = [form for form in forms if said[place : place + len(form)] == form]
            assert fits, (word, said[place : place + 6])
            place += max(map(len, fits))
        assert place == len(said)


def test_speech_is_the_same_each_time_and_changes_with_rate_and_pitch():
    _needs("espeak-ng")
    plain = Reading(text=TEXT, engine="espeak-ng", voice="en-us")
    fast = Reading(text=TEXT, engine="espeak-ng", voice="en-us", rate=1.4)
    high = Reading(text=TEXT, engine="espeak-ng", voice="en-us", pitch=1.4)
    one, again, quick, bright = speak([plain, plain, fast, high], sample_rate=LISTENING_RATE)
    np.testing.assert_array_equal(one.wave, again.wave)
    assert quick.seconds < 0.85 * one.seconds
    assert not np.array_equal(bright.wave[: len(one.wave)], one.wave[: len(bright.wave)])


def test_many_come_in_their_order():
    _needs("espeak-ng")
    _needs("flite")
    drawn = readings(["one", "two lattes", "three", "four and twenty mugs of mocha"] * 2, 3)
    made = list(speak(drawn, sample_rate=SPEAKING_RATE, batch=3))
    assert [spoken.reading for spoken in made] == drawn


def test_numbers_and_symbols_are_written_out_for_every_program():
    assert sayable("Pay $3.50, 'friend' — A B?") == "pay three dollars and fifty cents, friend, a b?"
    assert sayable("A B C") == "A b c"
    assert sayable('say "hi" (now)') == "say hi now"


def test_a_missing_program_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    for engine in ENGINES:
        with pytest.raises(MissingExtra, match="apt-get install"):
            next(speak([Reading(text=TEXT, engine=engine, voice="x")]))


def test_text_that_starts_like_an_option_is_text():
    _needs("espeak-ng")
    (spoken,) = speak([Reading(text="-v is five", engine="espeak-ng", voice="en-us")])
    assert spoken.seconds > 0.5
