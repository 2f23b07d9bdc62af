"""Answers for the ear, while they are written."""

import pytest

from vivavoce.assistant.plain import Plain


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "The ceiling of the dome of the dome of the dome of the dome",
            "The ceiling of the dome of the dome of the dome",
        ),
        ("Red, red, red, red, red, red", "Red, red, red, red, red, red"),
        ("red red red red red red red", "red red red red red"),
        ("It is so. It was so. It is so. It was so.", "It is so. It was so. It is so."),
        ("Again and again and again it rose.", "Again and again and again it rose."),
    ],
)
def test_circles_end(written: str, said: str) -> None:
    text, made = Plain(), ""
    for word in written.split():
        made += text.more(f"{word} ")
        if text.repeats:
            break
    assert made.strip() == said


def test_a_word_that_goes_in_circles_ends() -> None:
    text, made = Plain(), ""
    for piece in ("The", " L.A.L.E.A.R", *[".A"] * 100):
        made += text.more(piece)
        if text.repeats:
            break
    assert made == "The " and text.repeats
    text = Plain()
    assert text.more("Wow, that is sooooo far: 1000000000000 miles, hahaha! ") and not text.repeats
