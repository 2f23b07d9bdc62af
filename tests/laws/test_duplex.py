"""The duplex model under the laws of steps: chunks, rows, pauses, copies; and what it does not take."""

from dataclasses import replace

import pytest
import torch
from test_codec import tiny_codec
from torch import Tensor

from vivavoce.core.errors import SpecError
from vivavoce.core.layout import read
from vivavoce.core.talk import Frame
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.moshi import NEXT, PAD, Moshi, MoshiConfig, MoshiState, letters
from vivavoce.text.bpe import learn
from vivavoce.text.tokenizers import BpeTokenizer

TRUNK = TransformerConfig(dim=32, layers=2, heads=2, kv_heads=1, hidden=48, window=30)
DEPTH = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=16, window=4, rotary=False)


@pytest.fixture(scope="module")
def moshi() -> Moshi:
    codec = tiny_codec()
    config = MoshiConfig(codes=codec.tokens, bpe=learn(["so it is"] * 3, 262), trunk=TRUNK, depth=DEPTH)
    model = config.build()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return Moshi(model, codec)


def noise(rows: int, frames: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(rows, frames * 96, generator=torch.Generator().manual_seed(seed))


def run(moshi: Moshi, state: MoshiState, heard: Tensor, sizes: list[int]) -> list[Frame]:
    said: list[list[Frame]] = [[] for _ in range(len(heard))]
    for piece in heard.split([96 * size for size in sizes], dim=1):
        for row, frame in zip(said, moshi.step(piece, state), strict=True):
            row.append(frame)
    return [Frame(torch.cat([f.pcm for f in row]), "".join(f.text for f in row)) for row in said]


def same(a: list[Frame], b: list[Frame]) -> bool:
    return all(x.text == y.text and torch.allclose(x.pcm, y.pcm, atol=1e-5) for x, y in zip(a, b, strict=True))


def test_chunks_make_no_difference(moshi: Moshi) -> None:
    heard = noise(2, 40)  # beyond the window
    whole = run(moshi, moshi.init_state(2), heard, [40])
    assert same(run(moshi, moshi.init_state(2), heard, [1, 3, 0, 16, 20]), whole)
    assert all(len(frame.pcm) == 39 * 96 for frame in whole)  # own books of a frame are whole one frame later
    assert any(frame.text for frame in whole)
    assert not same(run(moshi, moshi.init_state(2), noise(2, 40, seed=1), [40]), whole)  # it hears
    with pytest.raises(SpecError, match="buffer the rest"):
        moshi.step(heard[:, :50], moshi.init_state(2))


def test_rows_do_not_see_each_other(moshi: Moshi) -> None:
    heard = noise(3, 12)
    together = run(moshi, moshi.init_state(3), heard, [12])
    for row in range(3):
        state = moshi.init_state(1)
        moshi.begin(state, 0, row)
        assert same(run(moshi, state, heard[row : row + 1], [12]), together[row : row + 1])


def test_paused_rows_stay_and_copies_go_on_bit_exact(moshi: Moshi) -> None:
    heard = noise(2, 10)
    state = moshi.init_state(2)
    run(moshi, state, heard[:, : 4 * 96], [4])
    copy = state.clone()
    paused = moshi.step(noise(2, 3, seed=2), state, torch.tensor([True, False]))
    assert len(paused[1].pcm) == 0 and not paused[1].text and len(paused[0].pcm) == 3 * 96
    rest = heard[:, 4 * 96 :]
    later, wanted = run(moshi, state, rest, [6]), run(moshi, copy.clone(), rest, [6])
    again = run(moshi, copy, rest, [6])
    assert same(later[1:], wanted[1:])
    assert all(torch.equal(a.pcm, b.pcm) and a.text == b.text for a, b in zip(again, wanted, strict=True))


def test_what_is_heard_stands_in_the_grid_and_never_changes(moshi: Moshi) -> None:
    state, heard = moshi.init_state(1), noise(1, 9)
    run(moshi, state, heard, [9])
    row = state.writer.rows_[0]
    assert row is not None
    found = read(moshi.layout, torch.tensor(row.written).T)
    codes = moshi.codec.encode_step(heard, moshi.codec.init_encode(1))[0]
    assert torch.equal(found["heard"], codes[:, : found["heard"].shape[1]])
    assert found["own"].shape[1] == 8 and found["text"].shape[1] == 9


def test_a_new_conversation_on_a_row_is_a_fresh_one(moshi: Moshi) -> None:
    heard = noise(2, 6)
    fresh = run(moshi, moshi.init_state(2), heard, [6])
    state = moshi.init_state(2)
    run(moshi, state, noise(2, 5, seed=3), [5])
    moshi.begin(state, 0, 0)
    assert same(run(moshi, state, heard, [6])[:1], fresh[:1])


def test_another_codec_is_refused_with_both_sides_named(moshi: Moshi) -> None:
    config = replace(moshi.model.config, codes=replace(moshi.codec.tokens, alphabet="codec-of-somebody"))
    with pytest.raises(SpecError, match=rf"codec-of-somebody.*got.*{moshi.codec.tokens.alphabet}"):
        Moshi(config.build(), moshi.codec)


def test_words_stand_on_their_frames(moshi: Moshi) -> None:
    config = moshi.model.config
    lane = letters(config, [("so", 3), ("it", 4), ("is", 14)], 20)[0].tolist()
    bpe = BpeTokenizer(config.bpe).bpe
    assert lane[2] == NEXT and lane[:2] == [PAD, PAD]
    assert lane[13] == NEXT
    said = [id - 2 for id in lane if id > NEXT]
    assert bpe.decode(said) == " so it is"
    pieces = [piece + 2 for piece in bpe.encode(" is")]
    assert lane[14 : 14 + len(pieces)] == pieces
