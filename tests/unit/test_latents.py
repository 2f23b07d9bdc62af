"""Codes as vectors and back: any books that add up are tables, and the likeliest code is the nearest entry."""

from dataclasses import replace

import pytest
import torch

from vivavoce.core.errors import SpecError
from vivavoce.core.streams import sound
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.models.latents import books_of
from vivavoce.nn.factorised import FactorisedConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.quantize import QuantizerConfig, ResidualConfig, SplitConfig
from vivavoce.nn.seanet import SeanetConfig

NET = SeanetConfig(dim=6, channels=2, strides=(2, 2))
RESIDUAL = ResidualConfig(dim=6, code_dim=0, books=4, size=9)
SPLIT = SplitConfig(
    semantic=ResidualConfig(dim=6, code_dim=5, books=1, size=9),
    acoustic=ResidualConfig(dim=6, code_dim=5, books=3, size=9),
)  # fmt: skip


def codec_with(quantizer: QuantizerConfig) -> Codec:
    torch.manual_seed(1)
    made = CodecConfig(front=SeanetFrontConfig(net=NET), quantizer=quantizer, back=SeanetBackConfig(net=NET)).build()
    if made.quantizer.deciding():
        made.quantizer.start(torch.randn(1, 6, 400))
    return made.eval()


FACTORISED = FactorisedConfig(dim=6, code_dim=3, books=4, size=9)


def test_books_of_one_length_know_directions_only() -> None:
    torch.manual_seed(1)
    books, x = replace(FACTORISED, one_length=True).build().eval(), torch.randn(2, 6, 50)
    codes, before = books.encode(x), books(x)
    with torch.no_grad():
        books.entries.mul_(torch.rand(4, 9, 1) + 0.5)
    after = books(x)
    assert torch.equal(books.encode(x), codes) and torch.equal(after.codes, codes)
    torch.testing.assert_close(after.values, before.values)
    torch.testing.assert_close(after.values, books.decode(codes))
    assert float(after.commitment) <= 4 * 4 * 1.25, "no way between two of one length is longer than both"


@pytest.mark.parametrize("quantizer", [RESIDUAL, SPLIT, FACTORISED, replace(FACTORISED, one_length=True)])
@pytest.mark.parametrize("books", [2, 4])
def test_books_that_add_up_are_tables(quantizer: QuantizerConfig, books: int) -> None:
    codec = codec_with(quantizer)
    codes = torch.randint(9, (2, books, 30))
    found = books_of(codec, books)
    wanted = codec.quantizer.decode(codes)
    assert torch.allclose(found.vectors(codes), wanted, atol=1e-5)
    mean, spread = wanted.mean((0, 2)), wanted.std()
    scaled = (wanted - mean[:, None]) / spread
    assert torch.allclose(found.scaled(mean, spread).vectors(codes), scaled, atol=1e-5)


def test_the_likeliest_code_is_the_nearest_entry_of_what_the_books_before_left() -> None:
    codec = codec_with(RESIDUAL)
    vectors = torch.randn(2, 6, 50)
    codes = codec.quantizer.encode(vectors)
    books = books_of(codec, 4)
    scores = books.scores(vectors, codes)
    assert torch.equal(scores.argmax(-1), codes)  # just as the quantiser itself chose
    mean, spread = torch.randn(6), torch.tensor(3.0)
    scaled = books.scaled(mean, spread).scores((vectors - mean[:, None]) / spread, codes)
    assert torch.allclose(scaled * spread, scores, atol=1e-4)
    left = vectors - books.base[:, None]
    for book in range(4):
        brute = torch.stack([(left[0, :, 7] - entry).norm() for entry in books.tables[book]])
        assert int(brute.argmin()) == int(codes[0, book, 7]) and torch.allclose(-brute, scores[0, book, 7], atol=1e-4)
        left = left - torch.nn.functional.embedding(codes[:, book], books.tables[book]).transpose(1, 2)


def test_books_that_see_the_same_vector_are_scored_apart() -> None:
    books = books_of(codec_with(SPLIT), 4)
    codes = torch.randint(9, (1, 4, 20))
    scores = books.scores(books.vectors(codes), codes)
    assert torch.equal(scores[:, [0, 3]].argmax(-1), codes[:, [0, 3]])  # nothing else is left for these two
    assert float(scores[:, [0, 3]].amax(-1).abs().max()) < 1e-2


def test_one_book_of_any_kind_is_a_table() -> None:
    codec = codec_with(FiniteScalarConfig(dim=6, levels=(3, 3)))
    codes = torch.randint(9, (1, 1, 20))
    assert torch.allclose(books_of(codec, 1).vectors(codes), codec.quantizer.decode(codes), atol=1e-5)


def test_what_does_not_add_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = codec_with(RESIDUAL)
    plain = codec.quantizer.decode
    monkeypatch.setattr(codec.quantizer, "decode", lambda codes: plain(codes).square())
    with pytest.raises(SpecError, match="do not add up"):
        books_of(codec, 4)


def test_vectors_are_decoded_as_their_codes_are() -> None:
    codec = codec_with(RESIDUAL)
    codes = codec.encode(sound(torch.randn(1, 80), 24000), 4)
    made = codec.decode_vectors(codec.quantizer.decode(codes.data), codes.lengths)
    assert torch.equal(made.data, codec.decode(codes).data)
