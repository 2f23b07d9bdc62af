"""How a text is divided for speakers that say a sentence at once, and what they are handed."""

from pathlib import Path

import pytest
import torch

from vivavoce.assistant.sentences import sentence_speaker, sentences, system_of
from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.sentence import Sentence
from vivavoce.text.phrases import LONGEST
from vivavoce.text.tokenizers import PhoneTokenizer


def test_sentences_are_said_one_by_one_and_nothing_is_lost() -> None:
    text = "Hello, Mr. Smith! It costs $3.50, doesn't it?  Well"
    assert list(sentences(text)) == ["Hello, Mr. Smith!", "It costs $3.50, doesn't it?", "Well"]
    long = "and then we went on, " * 40
    parts = list(sentences(long))
    assert len(parts) > 1 and max(map(len, parts)) <= LONGEST + 1 and " ".join(parts) == long.strip()
    with pytest.raises(TextError, match="nothing to say"):
        list(sentences(" ... "))


def test_phones_of_a_clip_stand_before_the_sentence_s_as_if_read_at_once() -> None:
    tokenizer = PhoneTokenizer()
    asked = Sentence(
        text="Good day", phones=tokenizer.encode(["Good day"]), prompt_phones=tokenizer.encode(["I heard it"])
    )
    at_once = tokenizer.encode(["I heard it. Good day"])
    assert torch.equal(asked.all_phones.data, at_once.data) and torch.equal(asked.all_phones.lengths, at_once.lengths)


def test_a_folder_is_a_speaker_of_sentences_by_the_name_of_a_part(tmp_path: Path) -> None:
    assert system_of("") is None and system_of(tmp_path) is None
    (tmp_path / "codec.json").write_text("{}")
    (tmp_path / "encodec.json").write_text("{}")  # a system, but none that speaks
    assert system_of(tmp_path) is None
    (tmp_path / "valle.json").write_text("{}")
    assert system_of(tmp_path) is not None
    with pytest.raises(VoiceError, match="no speaker of whole sentences"):
        sentence_speaker(tmp_path / "elsewhere")
