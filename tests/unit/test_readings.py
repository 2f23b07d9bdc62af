"""The table of readings, and what holds for every reading: places, pieces, linear work."""

import logging
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import TextError
from vivavoce.text import normalise as written
from vivavoce.text import tokens
from vivavoce.text.normalise import MARKS, Phrase, Reader, normalise, phrases, read


def _rows() -> list[tuple[str, str, str]]:
    lines = Path(__file__).with_name("readings.tsv").read_text(encoding="utf-8").splitlines()
    rows = [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]
    return [(kind, written.replace("\\u0301", "\u0301").replace("\\n", "\n"), said) for kind, written, said in rows]


ROWS = _rows()
WRITTEN = [written for _, written, _ in ROWS]


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in ROWS}))
def test_the_table_is_read_as_written(kind: str):
    wrong = []
    for _, text, said in (row for row in ROWS if row[0] == kind):
        try:
            found = " ".join(normalise(text))
        except TextError as error:
            found = "" if "nothing to say" in str(error) else str(error)
        if found != said:
            wrong.append(f"{text!r}: wanted {said!r}, got {found!r}")
    assert not wrong, "\n".join(wrong)


def test_the_table_is_large_and_has_no_row_twice():
    assert len(ROWS) > 500
    assert not [row for row, count in Counter(ROWS).items() if count > 1]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("A pint costs $4.50. Yes.", ["A pint costs $4.50.", "Yes."]),
        ("Pi is 3.14. It is.", ["Pi is 3.14.", "It is."]),
        ("€1.5m is a lot.", ["€1.5m is a lot."]),
        ("Ask bob@example.com. He knows.", ["Ask bob@example.com.", "He knows."]),
        ("It is 192.168.1.10. Go.", ["It is 192.168.1.10.", "Go."]),
        ("Get v2.0.1. It works.", ["Get v2.0.1.", "It works."]),
        ("Come at 3 p.m. sharp", ["Come at 3 p.m. sharp"]),
        ("It is 3 p.m. Come.", ["It is 3 p.m.", "Come."]),
        ("Dr. Smith is in. See him.", ["Dr. Smith is in.", "See him."]),
        ("Try e.g. this one.", ["Try e.g. this one."]),
        ("The U.S. Army left the U.S. He stayed.", ["The U.S. Army left the U.S.", "He stayed."]),
        ("It was J. R. R. Tolkien. Plan B. Then.", ["It was J. R. R. Tolkien.", "Plan B.", "Then."]),
        ("He said \"Wait.\" Then he left.", ["He said \"Wait.\"", "Then he left."]),
        ("\"What?\" he asked. (Really.) Yes.", ["\"What?\" he asked.", "(Really.)", "Yes."]),
        ("Well... maybe. Hmm… No.", ["Well... maybe.", "Hmm…", "No."]),
        ("Yahoo! is big. Yes!", ["Yahoo! is big.", "Yes!"]),
        ("hello there. how are you? fine", ["hello there.", "how are you?", "fine"]),
        ("We have tea, etc. Come in.", ["We have tea, etc.", "Come in."]),
        ("See Fig. 3. It is p. 5.", ["See Fig. 3.", "It is p. 5."]),
        ("Main St. is long. St. John is not.", ["Main St. is long.", "St. John is not."]),
        ("No. 5 is alive. No. It is not.", ["No. 5 is alive.", "No.", "It is not."]),
        ("# Menu\n- Coffee\n- Tea\n\n1. First\n2. Second", ["# Menu", "- Coffee", "- Tea", "1. First", "2. Second"]),
        ("One line\nthat goes on. Two.", ["One line\nthat goes on.", "Two."]),
        ("See http://example.com/a.b?c=d. Or www.a.org!", ["See http://example.com/a.b?c=d.", "Or www.a.org!"]),
        ("I. M. Pei is here. So do I. Then.", ["I. M. Pei is here.", "So do I.", "Then."]),
        ("Acme Inc. in Ohio. At 5 p.m. EST. Done.", ["Acme Inc. in Ohio.", "At 5 p.m. EST.", "Done."]),
        ("<speak>One. <break time=\"1s\"/>Two.</speak>", ["<speak>One.", "<break time=\"1s\"/>Two.</speak>"]),
    ],
)  # fmt: skip
def test_sentences_end_where_they_do(text: str, cut: list[str]):
    found, begin = [], 0
    for phrase in Reader().feed(text, last=True):
        if phrase.ends_sentence:
            found.append(text[begin : phrase.end].strip())
            begin = phrase.end
    assert [sentence for sentence in found if sentence] == cut


def _words(found: list[Phrase]) -> list[tuple[int, int, tuple[str, ...], float]]:
    return [(token.begin, token.end, token.said, token.pause) for phrase in found for token in phrase.tokens]


def _cuts(found: list[Phrase]) -> list[tuple[int, int, bool, str]]:
    return [(phrase.begin, phrase.end, phrase.ends_sentence, phrase.refusal) for phrase in found]


def _in_pieces(text: str, places: list[int]) -> list[Phrase]:
    reader, made = Reader(), []
    for begin, end in pairwise([0, *sorted(places), len(text)]):
        made += reader.feed(text[begin:end])
    return made + reader.feed("", last=True)


def _law(text: str, draw: Random) -> None:
    whole = Reader().feed(text, last=True)
    for count in (1, 4, len(text)):
        places = list(range(len(text))) if count == len(text) else [draw.randint(0, len(text)) for _ in range(count)]
        pieces = _in_pieces(text, places)
        assert _words(pieces) == _words(whole), text
        assert _cuts(pieces) == _cuts(whole), text


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="vivavoce.text.normalise")


def test_pieces_change_neither_words_nor_places():
    draw = Random(0)
    between = ' | |. |, |\n|! |? |\n\n|... |" |: |—| (|) |.|日本 |<b>|</p>'.split("|")
    for _ in range(120):
        _law("".join(draw.choice(WRITTEN) + draw.choice(between) for _ in range(draw.randint(1, 6))), draw)


@settings(max_examples=80)
@given(
    st.text(alphabet=st.one_of(st.sampled_from("aAbI.1,5 \n-'\"<>/!?:$%*_[]()…—"), st.characters()), max_size=80),
    st.integers(),
)
def test_pieces_of_anything_change_neither_words_nor_places(text: str, seed: int):
    _law(text, Random(seed))


@settings(max_examples=80)
@given(st.lists(st.one_of(st.sampled_from(WRITTEN), st.text(max_size=8)), max_size=8))
def test_tokens_stand_in_order_in_the_text_and_say_plain_words(parts: list[str]):
    text = " ".join(parts)
    at = 0
    for phrase in Reader().feed(text, last=True):
        assert phrase.begin <= phrase.end <= len(text)
        for token in phrase.tokens:
            assert at <= token.begin < token.end <= phrase.end
            at = token.end
            assert all(
                word in MARKS or word == "a." or word.strip("abcdefghijklmnopqrstuvwxyz'") == "" for word in token.said
            )


def test_every_letter_and_digit_stands_in_a_token():
    """Nothing is lost: what no token covers are signs, spaces and marks."""
    for kind, text, _ in ROWS:
        if kind in {"ssml", "markdown", "emoji", "sign"}:
            continue
        covered = {at for begin, end, _, _ in _words(Reader().feed(text, last=True)) for at in range(begin, end)}
        assert not [char for at, char in enumerate(text) if char.isalnum() and at not in covered], text


def test_what_is_whole_is_given_at_once():
    reader = Reader()
    assert [phrase.said for phrase in reader.feed("Sure, ")] == [["sure", ","]]
    assert [phrase.said for phrase in reader.feed("it costs $4.")] == []
    assert [phrase.said for phrase in reader.feed("50. ")] == [
        ["it", "costs", "four", "dollars", "and", "fifty", "cents", "."]
    ]
    assert [phrase.said for phrase in reader.feed("Ask Dr. ")] == []
    assert [phrase.said for phrase in reader.feed("Smith! ")] == [["ask", "doctor", "smith", "!"]]
    assert [phrase.said for phrase in reader.feed("<brea")] == []
    found = reader.feed('k time="500ms"/> Bye')
    assert [phrase.pause for phrase in found] == [0.5]
    assert [phrase.said for phrase in reader.feed("", last=True)] == [["bye"]]


def test_a_sentence_that_cannot_be_read_is_refused_and_the_others_are_not():
    found = Reader().feed("One is fine. 日本語です. The end.", last=True)
    assert [phrase.said for phrase in found] == [["one", "is", "fine", "."], [], ["the", "end", "."]]
    assert "cjk script" in found[1].refusal
    with pytest.raises(TextError, match="cjk script"):
        phrases("One is fine. 日本語です. The end.")


@pytest.mark.parametrize("text", ["καλημέρα", "Привет", "日本語です", "שלום", "नमस्ते"])
def test_other_scripts_are_refused(text: str):
    with pytest.raises(TextError, match="Latin letters"):
        normalise(f"so {text} there")


@pytest.mark.parametrize(
    "text", ["…", "😀", "***", "---", "```", "<break/>", "![](a.png)", "\u200b", "<speak></speak>"]
)
def test_silent_signs_alone_have_nothing_to_say(text: str):
    with pytest.raises(TextError, match="nothing to say"):
        read(text)


def test_dropped_tags_are_told_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="vivavoce.text.normalise")
    reader = Reader()
    for piece in ("<speak><emphasis>No", "w</emphasis>. <prosody rate='slow'>Go", ".</prosody></speak>"):
        reader.feed(piece)
    reader.feed("", last=True)
    assert len(caplog.records) == 1
    assert "<emphasis>" in caplog.text


def test_a_lone_bracket_is_read():
    assert normalise("a < b") == ["a", "less", "than", "b"]
    assert normalise("Dear <your name>") == ["dear", "your", "name"]


@pytest.mark.parametrize(
    "unit",
    ["a", "1-", "a.", "<a ", "](", '"1" ', "a@", '<sub alias="x">y', "Mr. ", "\n>"],
)  # fmt: skip
def test_work_grows_with_the_text_and_no_faster(unit: str, monkeypatch: pytest.MonkeyPatch):
    """A place is looked at once, a cut is looked for once per piece and phrase, and no phrase is long."""
    places, searches = 0, 0
    rules_for, next_cut = tokens.rules_for, written.next_cut

    def counted_rules(char: str) -> object:
        nonlocal places
        places += 1
        return rules_for(char)

    def counted_cut(text: str, begin: int, last: bool) -> object:
        nonlocal searches
        searches += 1
        assert len(text) <= 2000, "what has been read is forgotten"
        return next_cut(text, begin, last)

    monkeypatch.setattr(tokens, "rules_for", counted_rules)
    monkeypatch.setattr(written, "next_cut", counted_cut)
    text, reader, found = unit * (20_000 // len(unit)), Reader(), []
    for at in range(0, len(text), 500):
        found += reader.feed(text[at : at + 500])
    found += reader.feed("", last=True)
    assert places <= len(text)
    assert searches <= len(text) // 500 + len(text)
    assert all(phrase.end - phrase.begin <= 700 for phrase in found)
