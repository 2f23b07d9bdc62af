"""Words and their partners that are none: alike in kinds of phones and in runs of three, and counted by who learnt
which."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.core.layout import Layout, Segment
from vivavoce.core.streams import Tokens
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.evals import spoken_words
from vivavoce.evals.spoken_words import likelihood, pairs, partner, words_table
from vivavoce.hub.kokoro import Uttered, ids_of
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.text.dictionary import dictionary_words, usual_form
from vivavoce.text.phones import VOWELS, parse

TEXTS = {
    "train": "The kitchen garden was silent before the thunder.",
    "dev": "A silent garden under the mountain with a wooden ladder",
    "test": "customary triumphant housework in the kitchen",
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    write_manifest(
        folder,
        [
            Record(
                id=split, path=f"{split}.wav", split=split, speaker=split, source="x", licence="CC0", seconds=1.0,
                sample_rate=16000, native_sample_rate=16000, text=text, lang="en",
            )
            for split, text in TEXTS.items()
        ],
    )  # fmt: skip
    return folder


def test_partners_are_no_words_and_differ_in_phones_of_the_same_kind() -> None:
    words = {form for word in dictionary_words() if (form := usual_form(word)) is not None}
    listed = {tuple(phone.symbol for phone in parse(form)) for form in words}
    draw = np.random.default_rng(0)
    for word in ("kitchen", "mountain", "customary", "drink"):
        said = parse(usual_form(word) or "")
        other = partner(said, draw)
        assert other is not None and len(other) == len(said)
        assert tuple(phone.symbol for phone in other) not in listed
        changed = [(a, b) for a, b in zip(said, other, strict=True) if a != b]
        assert 1 <= len(changed) <= 2
        assert all((a.symbol in VOWELS) == (b.symbol in VOWELS) and a.stress == b.stress for a, b in changed)
    assert partner(parse("ZH OY1 ZH NG"), draw) is None, "runs that no word has cannot be matched"


def test_words_are_of_held_out_texts_and_known_by_who_learnt_them(speech: Path) -> None:
    found = {pair.word: pair.learnt for pair in pairs(speech, 20)}
    assert {"kitchen", "garden", "silent"} <= {word for word, learnt in found.items() if learnt}
    assert {"customary", "triumphant"} <= {word for word, learnt in found.items() if not learnt}
    assert "thunder" not in found, "it is in no held-out text"
    assert pairs(speech, 20) == pairs(speech, 20) and sum(pair.learnt for pair in pairs(speech, 2)) == 2


def test_the_table_counts_the_likelier_ones_apart(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Voice:
        voices = ("one", "two")

        def utter(self, symbols: str, voice: str) -> Uttered:
            assert ids_of(symbols) and voice in self.voices
            said.append(symbols)
            return Uttered(np.full(10, len(said), np.float32), None)

    said: list[str] = []
    table = words_table(lambda wave: -float(wave.data[0, 0, 0]), speech, Voice(), 3, lambda _: None)
    rows = {row.name: row.value.value for row in table.rows if row.value is not None}
    assert rows["words that training texts have: likelier"] == 1.0, "the word is said first and so scored higher"
    assert len(said) == 2 * len(pairs(speech, 3)) and len(set(said)) == len(said)
    assert sum(row.remark == "control" for row in table.rows) == 2
    monkeypatch.setattr(spoken_words, "pairs", lambda *_: [])
    assert not words_table(lambda _: 0.0, speech, Voice(), 3, lambda _: None).rows


def test_likelihood_is_that_of_the_next_unit() -> None:
    torch.manual_seed(0)
    layout = Layout(blocks=(Segment(stream=Tokens(name="units", alphabet="u", size=6, books=1)),))
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=40)
    lm: StreamLM = StreamLMConfig(trunk=trunk, lanes=layout.sizes, tied=False).build().eval()
    units = torch.tensor([[1, 4, 2, 5]])
    ids = layout.pack({"units": units}).ids[None]
    scores = lm(ids)[0][0].log_softmax(-1)
    wanted = torch.stack([scores[place, ids[0, 0, place + 1]] for place in range(ids.shape[2] - 1)]).mean()
    assert likelihood(lm, layout, "units", units) == pytest.approx(float(wanted), abs=1e-5)
