"""Written English becomes the words that are said, or one sentence about why not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.errors import TextError
from vivavoce.text import numbers
from vivavoce.text.normalise import LONGEST, normalise, read


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("A large latte costs $3.50, please!", "a large latte costs three dollars and fifty cents please"),
        ("$1, $0.05, £3.20 and $5k", "one dollar five cents three pounds and twenty pence and five thousand dollars"),
        ("at 5:30 p.m., 5:00 and 7:05", "at five thirty p m five o'clock and seven oh five"),
        ("9 am", "nine a m"),
        ("Dr. Smith vs. Mrs. Jones, e.g. the 21st", "doctor smith versus missus jones for example the twenty first"),
        ("1984, 1905, 2007, 2024 and the 1990s", "nineteen eighty four nineteen oh five two thousand seven "
         "twenty twenty four and the nineteen nineties"),
        ("1,234 or 3.14 or -5", "one thousand two hundred thirty four or three point one four or minus five"),
        ("16oz latte, 1 kg at 20°C, 100%", "sixteen ounce latte one kilogram at twenty degrees celsius "
         "one hundred percent"),
        ("1/2 or 3/4 or ½ or 2/3", "one half or three quarters or one half or two thirds"),
        ("5-10 minutes", "five to ten minutes"),
        ("Call 555-123-4567", "call five five five one two three four five six seven"),
        ("007", "zero zero seven"),
        ("TV and USA, C M U", "t v and u s a c m u"),
        ("café, naïve — “quoted” …", "cafe naive quoted"),
        ("Don't say 'hello' to the travellers' guild", "don't say hello to the travellers' guild"),
        ("well-done, it's", "well done it's"),
        ("see https://vivavoce.org", "see vivavoce dot org"),
        ("this & that #2 + 3", "this and that number two plus three"),
    ],
)  # fmt: skip
def test_written_text_is_said(written: str, said: str):
    assert " ".join(normalise(written)) == said


def test_marks_are_kept_for_the_melody():
    assert read("Well, is it? Yes.") == ["well", ",", "is", "it", "?", "yes", "."]


def test_what_is_added_in_brackets_is_set_apart():
    assert read("The yuan (CNY).") == "the yuan , c n y .".split()
    assert read("Salt (table salt) and sugar") == "salt , table salt , and sugar".split()
    assert read("f(x) and (a) or (b)") == "f x and a or b".split()


def test_the_letter_a_is_told_from_the_article():
    assert read("A B C") == ["a.", "b", "c"]
    assert read("a cup") == ["a", "cup"]
    assert normalise("A B C") == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "  ?!", "😀"])
def test_nothing_to_say_is_an_error(text: str):
    with pytest.raises(TextError, match="nothing to say"):
        normalise(text)


@pytest.mark.parametrize(
    ("text", "script"), [("Привет", "cyrillic"), ("日本", "cjk"), ("مرحبا", "arabic"), ("٣", "arabic")]
)
def test_another_script_is_an_error_that_names_it(text: str, script: str):
    with pytest.raises(TextError, match=f"{script}.*Latin letters"):
        normalise(f"hello {text}")


def test_too_long_a_text_is_an_error():
    with pytest.raises(TextError, match="split it"):
        normalise("a " * LONGEST)


@given(st.text(max_size=60))
def test_whatever_comes_gives_plain_words_or_one_error(text: str):
    try:
        words = normalise(text)
    except TextError as error:
        assert "\n" not in str(error).replace(repr(text.strip()[:40]), "")
        return
    assert words
    for word in words:
        assert word.strip("abcdefghijklmnopqrstuvwxyz'") == "", word


@given(st.lists(st.sampled_from("the latte i'd o'clock mug dog's almond".split()), min_size=1))
def test_normal_words_stay_as_they_are(words: list[str]):
    assert normalise(" ".join(words)) == words


@given(st.integers(0, 10**12))
def test_a_cardinal_means_its_number(number: int):
    values = {word: value for value in range(20) for word in numbers.cardinal(value)}
    values |= {numbers.cardinal(tens)[0]: tens for tens in range(20, 100, 10)}
    powers = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    total = group = 0
    for word in numbers.cardinal(number):
        if word == "hundred":
            group *= 100
        elif word in powers:
            total, group = total + group * powers[word], 0
        else:
            group += values[word]
    assert total + group == number


def test_ordinals_and_plurals():
    assert numbers.ordinal(12) == ["twelfth"]
    assert numbers.ordinal(20) == ["twentieth"]
    assert numbers.ordinal(101) == ["one", "hundred", "first"]
    assert numbers.plural(["six"]) == ["sixes"]
