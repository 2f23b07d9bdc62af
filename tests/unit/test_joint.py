"""Joint writing: what an ear says of spellings is the sum over all that it stands for, and the best text is found."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.core.errors import ConfigError
from vivavoce.generate.joint import Ear, JointConfig, JointWriter, SpellingTree
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature

FRAMES, PIECES = 5, 3


def scores(seed: int, frames: int = FRAMES, spread: float = 1.5) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, spread, (frames, PIECES + 1))
    return drawn - np.logaddexp.reduce(drawn, axis=1, keepdims=True)


def spelled_by_all(found: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every spelling, from every path through the frames."""
    chances: dict[tuple[int, ...], float] = {}
    for path in product(range(PIECES + 1), repeat=len(found)):
        merged = [id for n, id in enumerate(path) if id and (n == 0 or path[n - 1] != id)]
        key = tuple(id - 1 for id in merged)
        chances[key] = chances.get(key, 0.0) + float(np.exp(sum(found[n, id] for n, id in enumerate(path))))
    return chances


def test_a_spelling_is_as_likely_as_all_that_begins_with_it() -> None:
    found = scores(0)
    chances = spelled_by_all(found)
    ear = Ear(found)
    for prefix in [(), (1,), (0, 0), (2, 2), (0, 2, 1), (1, 1, 1)]:
        spelled = ear.begin()
        for piece in prefix:
            spelled = ear.on(spelled, np.array([piece]))
        assert np.exp(spelled.ended[0]) == pytest.approx(chances.get(prefix, 0.0), abs=1e-12)
        for piece, ahead in enumerate(np.exp(ear.ahead(spelled)[0])):
            longer = (*prefix, piece)
            wanted = sum(chance for key, chance in chances.items() if key[: len(longer)] == longer)
            assert ahead == pytest.approx(wanted, abs=1e-12), longer


def test_the_best_text_of_both_is_found_and_recordings_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=64)
    lm = StreamLMConfig(trunk=trunk, lanes=(6,)).build().eval()
    with torch.no_grad():
        lm.embed.mul_(20)  # type: ignore[operator]
    spelling = {1: [0], 2: [1], 3: [0, 1], 5: [2]}  # 4 ends, 0 is never written
    config = JointConfig(model=0.4, bonus=0.5, ear=0.9, beam=40, wide=200, near=60.0)
    writer = JointWriter(lm, SpellingTree(spelling), frozenset([4]), config)
    state = lm.init_state(1, room=8)
    hidden = lm.read(torch.tensor([[[0]]]), state).detach()

    def total(text: tuple[int, ...], chances: dict[tuple[int, ...], float]) -> float:
        key = tuple(piece for id in text for piece in spelling[id])
        if key not in chances:
            return -np.inf
        with torch.no_grad():
            shares = lm(torch.tensor([[[0, *text]]]))[0][0][:, [1, 2, 3, 4, 5]].log_softmax(-1)
        judged = sum(float(shares[n, id - 1]) for n, id in enumerate((*text, 4)))
        return float(np.log(chances[key])) + 0.4 * judged + 0.5 * len(key)

    many = [scores(seed, frames, 3.0) for seed, frames in ((1, 4), (2, 5), (3, 3))]
    together = writer.write(many, state.rows([0, 0, 0]), hidden.expand(3, -1))
    for one, found in zip(many, together, strict=True):
        assert writer.write([one], state, hidden) == [found]
        less = 0.9 * one
        chances = spelled_by_all(less - np.logaddexp.reduce(less, axis=1, keepdims=True))
        texts = [text for size in range(5) for text in product(spelling, repeat=size)]
        assert tuple(found) == max(texts, key=lambda text: total(text, chances))
    assert len({tuple(found) for found in together}) > 1 and int(state.position[0]) == 1


def test_tokens_are_spelled_as_their_words_are(tmp_path: Path) -> None:
    text: ChatText = load_text_model(miniature.chat_model(tmp_path, dim=16)).text
    spelled = text.words_spelled(256)
    read = {text.read([id]) for id in spelled}
    assert {"a", "z", "'"} <= read and not {"A", ".", "4"} & read
    assert all(spelled[id] == text.spelled(chr(text.tokenizer.pieces[id][0]), 256) for id in spelled)
    assert b" " in {text.tokenizer.pieces[id] for id in spelled}


def test_a_search_needs_room() -> None:
    with pytest.raises(ConfigError, match="keeps at least one text"):
        JointConfig(beam=20, wide=10)
