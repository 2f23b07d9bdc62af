"""Streams of rows of several lengths."""

import torch

from vivavoce.core.streams import Tokens, padded

SPEC = Tokens(name="codes", alphabet="a", size=100, books=2)


def test_rows_are_padded_with_zeros_and_come_back_without() -> None:
    rows = [torch.arange(1, 7).view(2, 3), torch.arange(7, 9).view(2, 1), torch.zeros(2, 0, dtype=torch.long)]
    stream = padded(SPEC, rows)
    assert stream.lengths.tolist() == [3, 1, 0] and stream.data.shape == (3, 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(stream.rows, rows, strict=True))
    assert not stream.data[1, :, 1:].any()


def test_what_follows_the_first_ticks_of_each_row() -> None:
    stream = padded(SPEC, [torch.arange(1, 7).view(2, 3), torch.arange(7, 9).view(2, 1)])
    rest = stream.after(torch.tensor([1, 4]))
    assert rest.lengths.tolist() == [2, 0]
    assert rest.data.tolist() == [[[2, 3], [5, 6]], [[0, 0], [0, 0]]]
