"""Scenes for several voices: what a script says, when its lines begin, and what is said about faults in it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from vivavoce.assistant.performance import mixed, perform
from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.talk import Word
from vivavoce.core.voice import Consent, Voice
from vivavoce.runtime.model import RATE
from vivavoce.text.playscript import PAUSE, read_playscript

SCENE = """
Brom = a gruff old dwarf, identity 4   # his voice
Brom: Who goes there?
(pause 0.5)
Elra (whispering): Quiet: it is me.
(overlap 0.4)
Brom: I knew it.
Elra: Come.
"""


def say(text: str, voice: Voice, seed: int) -> tuple[np.ndarray, Sequence[Word]]:
    """A second of sound for each word."""
    size = len(text.split()) * RATE
    return np.full(size, 0.6, dtype=np.float32), [Word(text.split()[0], 0, size, span=(0, len(text.split()[0])))]


def test_a_script_says_who_speaks_how_and_after_what_pause() -> None:
    script = read_playscript(SCENE)
    assert script.parts["Brom"].description == "a gruff old dwarf" and script.parts["Brom"].identity == 4
    assert [(line.who, line.manner, line.gap) for line in script.lines] == [
        ("Brom", "", 0.0),
        ("Elra", "whispering", 0.5),
        ("Brom", "", -0.4),
        ("Elra", "", PAUSE),
    ]
    assert script.lines[1].text == "Quiet: it is me."
    clip = read_playscript("Ann = like a, b.wav, agreed by Ann Smith\nAnn: Hi", Path("there")).parts["Ann"]
    assert clip.clip == Path("there/a, b.wav") and clip.agreed == "Ann Smith"
    clip = read_playscript("Ann = like ann.wav agreed by Ann Smith\nAnn: Hi").parts["Ann"]
    assert (clip.clip, clip.agreed) == (Path("ann.wav"), "Ann Smith")
    assert read_playscript("Ann = like a grumpy dwarf\nAnn: Hi").parts["Ann"].description == "like a grumpy dwarf"


def test_a_name_may_stand_for_a_voice() -> None:
    saved = {"queen": Voice.described("an old stern woman", 2), "Elra": Voice.like(b"RIFF", Consent("Elra"))}
    script = read_playscript("Ann = queen\nBen = Elra\nCid = queen, identity 5\nAnn: a\nBen: b\nCid: c")
    heard: list[Voice] = []

    def noted(text: str, voice: Voice, seed: int) -> tuple[np.ndarray, Sequence[Word]]:
        heard.append(voice)
        return say(text, voice, seed)

    list(perform(script, saved.get, noted))
    assert heard == [saved["queen"], saved["Elra"], Voice.described("an old stern woman", 5)]


def test_lines_are_laid_where_the_script_wants_them() -> None:
    asked: list[Voice] = []

    def find(name: str) -> Voice | None:
        return Voice.described("a bright woman", 2) if name == "Elra" else None

    def heard(text: str, voice: Voice, seed: int) -> tuple[np.ndarray, Sequence[Word]]:
        asked.append(voice)
        return say(text, voice, seed)

    lines = list(perform(read_playscript(SCENE), find, heard))
    seconds = [one.start / RATE for one in lines]
    assert seconds == pytest.approx([0.0, 3.5, 7.1, 10.1 + PAUSE])
    assert [voice.identity for voice in asked] == [4, 2, 4, 2]
    assert asked[1].description == "a bright woman, whispering" and asked[3].description == "a bright woman"
    both = mixed(lines)
    assert len(both) == lines[-1].start + RATE
    assert both.max() == pytest.approx(1.0) and both[0] == pytest.approx(0.5)  # 0.6 twice at once, made 1
    assert lines[2].json()["words"] == [{"word": "I", "start": 7.1, "end": 10.1, "characters": [0, 1]}]


def test_nobody_begins_before_the_one_whom_they_interrupt() -> None:
    text = "a = high\nb = low\na: one two\n(overlap 2)\nb: three"
    assert [one.start for one in perform(read_playscript(text), lambda _: None, say)] == [0, 0]
    with pytest.raises(TextError, match=r"line 5: b would begin before a, .* write \(overlap 2\) or less"):
        list(perform(read_playscript(text.replace("2", "2.1")), lambda _: None, say))


def test_capitals_make_no_other_person() -> None:
    script = read_playscript("Brom = a gruff old dwarf\nBROM: Halt!")
    assert script.part("brom") is script.parts["Brom"] and script.part("Elra") is None
    assert [one.line.who for one in perform(script, lambda _: None, say)] == ["BROM"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "nobody says anything"),
        ("a = high\nwhat is this", r"line 2: 'what is this' is no line of a scene"),
        ("a = high\na:", "line 2: a says nothing"),
        (
            "a = like a b.wav\na: hello",
            "write a = like a b.wav, agreed by WHO",
        ),
        ("a = high\na = low\na: hello", "line 2: a has a voice already"),
        ("a = high\na: hello\nA = low", "line 3: A has a voice already"),
        ("a = high\n(pause 700)\na: hello", "line 2: 700 s"),
        ("a = high\n(overlap 1)\na: hello", "line 2: nobody speaks yet"),
    ],
)
def test_faults_of_a_script_are_named_with_their_line(text: str, wanted: str) -> None:
    with pytest.raises(TextError, match=wanted):
        read_playscript(text)


def test_a_name_without_a_voice_and_a_line_that_cannot_be_said_are_named_before_sound_is_made() -> None:
    def never(text: str, voice: Voice, seed: int) -> tuple[np.ndarray, Sequence[Word]]:
        raise AssertionError("nothing is said")

    for text, wanted in (
        ("a = high\na: hello\nZed: hello", "line 3, Zed: this name has no voice; add a line such as Zed ="),
        ("a = high\na: hello\na: ...", "line 3, a: the text '...' has nothing to say"),
        ("a = high\na: hello\na (loud, quiet): hello", "line 3, a: .* loud and quiet, which contradict each other"),
        ("a = a deep high voice\na: hello", "line 2, a: .* deep and high"),
    ):
        with pytest.raises((TextError, VoiceError), match=wanted):
            next(perform(read_playscript(text), lambda _: None, never))
    with pytest.raises(VoiceError, match=r"line 2, Ann: The clip .* cannot be read"):
        next(perform(read_playscript("Ann = like no.wav, agreed by Ann\nAnn: hello"), lambda _: None, say))

    def refuse(text: str, voice: Voice, seed: int) -> tuple[np.ndarray, Sequence[Word]]:
        raise TextError("no words")

    with pytest.raises(TextError, match="line 2, Ann: no words"):
        next(perform(read_playscript("Ann = high\nAnn: hello"), lambda _: None, refuse))
