"""Text as streams: phones with pauses at marks, pieces that come back, vocabularies that are told apart."""

import pytest

from vivavoce.core.errors import SpecError, TextError
from vivavoce.text.bpe import BpeConfig, learn
from vivavoce.text.phones import PHONES
from vivavoce.text.tokenizers import BpeTokenizer, PhoneTokenizer


def test_texts_are_phones_with_pauses() -> None:
    stream = PhoneTokenizer().encode(["No, stay.", "A cat"])
    shown = [
        " ".join(PHONES[id] for id in row[0, :n].tolist()) for row, n in zip(stream.data, stream.lengths, strict=True)
    ]
    assert shown == ["SIL N OW SIL S T EY SIL", "SIL AH K AE T SIL"]
    with pytest.raises(TextError):
        PhoneTokenizer().encode(["..."])


def test_pieces_come_back_and_vocabularies_differ() -> None:
    texts = ["one latte, please", "two lattes", ""]
    ours = BpeTokenizer(learn(texts, 270))
    stream = ours.encode(texts)
    assert ours.decode(stream) == texts
    with pytest.raises(SpecError, match=ours.tokens.alphabet):
        BpeTokenizer(BpeConfig(merges=())).decode(stream)
