"""Quantisers: k-means start, moving averages, revival, fewer books, straight-through gradients."""

from dataclasses import replace

import pytest
import torch

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.nn.quantize import ResidualConfig, SplitConfig, entropy, kmeans, nearest, perplexity


def small(**changes: float) -> ResidualConfig:
    return ResidualConfig(**{"dim": 6, "code_dim": 4, "books": 3, "size": 8, "fewer_books": 0.0} | changes)  # type: ignore[arg-type]


def test_kmeans_finds_clusters():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = (centres[:, None] + 0.1 * torch.randn(3, 50, 2)).flatten(0, 1)
    means = kmeans(points, 12, 10)
    assert float(torch.cdist(centres, means).amin(dim=1).max()) < 0.2
    assert float((points - means[nearest(points, means)]).norm(dim=1).mean()) < 0.15


def test_it_is_the_identity_of_its_projections_until_started():
    quantizer = small().build()
    x = torch.randn(2, 6, 5)
    made = quantizer(x)
    assert not quantizer.started and float(made.commitment) == 0
    assert torch.allclose(made.values, quantizer.out(quantizer.into(x.transpose(1, 2))).transpose(1, 2), atol=1e-6)


def test_each_book_brings_the_vectors_closer():
    quantizer = small().build().eval()
    x = torch.randn(4, 6, 64)
    quantizer.start(x)
    codes = quantizer.encode(x)
    wanted = quantizer.out(quantizer.into(x.transpose(1, 2))).transpose(1, 2)
    errors = [float((quantizer.decode(codes[:, :k]) - wanted).norm().detach()) for k in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert torch.equal(quantizer(x).codes, codes)
    assert torch.allclose(quantizer(x).values, quantizer.decode(codes), atol=1e-5)


def test_gradients_pass_straight_through_and_entries_get_none():
    quantizer = small().build()
    quantizer.start(torch.randn(4, 6, 64))
    x = torch.randn(2, 6, 5, requires_grad=True)
    made = quantizer(x)
    (made.values.sum() + made.commitment).backward()
    assert x.grad is not None and float(x.grad.abs().sum()) > 0
    assert not quantizer.entries.requires_grad


def test_commitment_is_of_what_each_book_is_given():
    quantizer = small(books=3).build().eval()
    quantizer.start(torch.randn(4, 6, 64))
    x = torch.randn(2, 6, 5, requires_grad=True)
    made = quantizer(x)
    left, wanted = quantizer.into(x.transpose(1, 2)), []
    for book in range(3):
        chosen = quantizer.entries[book][made.codes[:, book]]
        wanted.append((left - chosen).square().sum(2).mean())
        left = left - chosen
    assert torch.allclose(made.commitment, torch.stack(wanted).mean())
    (found,) = torch.autograd.grad(made.commitment, x, retain_graph=True)
    for term in wanted:  # none of the books leaves the encoder alone
        assert torch.autograd.grad(term, x, retain_graph=True)[0].any()
    assert torch.allclose(found, torch.autograd.grad(torch.stack(wanted).mean(), x)[0], atol=1e-6)


def test_an_example_is_quantised_by_both_halves_or_by_neither():
    half = small(books=1, unquantised=0.5, dead_below=0.0, decay=1.0)
    split = SplitConfig(semantic=half, acoustic=replace(half, books=2)).build().train()
    x = torch.randn(200, 6, 4)
    split.start(x)
    made = split(x).values.detach()
    free = torch.stack(
        [half.out(half.into(x.transpose(1, 2))).transpose(1, 2) for half in (split.semantic, split.acoustic)]
    )
    full = split.eval()(x).values
    bare, quantised = ((made - one).abs().amax((1, 2)) < 1e-4 for one in (free.sum(0).detach(), full.detach()))
    assert (bare ^ quantised).all() and 70 < int(bare.sum()) < 130


def test_entries_follow_the_vectors():
    quantizer = small(books=1, decay=0.5).build().train()
    x = torch.randn(4, 6, 64)
    quantizer.start(x)

    def error() -> float:
        inner = quantizer.into((x + 3).transpose(1, 2)).flatten(0, 1)
        return float((inner - quantizer.entries[0][nearest(inner, quantizer.entries[0])]).norm(dim=1).mean().detach())

    with torch.no_grad():
        before = error()
        for _ in range(20):
            quantizer(x + 3)
    assert error() < 0.7 * before


def test_dead_entries_are_moved_to_where_the_vectors_are():
    quantizer = small(books=1, size=16).build().train()
    x = torch.randn(4, 6, 64)
    quantizer.start(x)
    quantizer.entries[0, :8] = 100.0
    quantizer.usage[0, :8] = 1e-6
    with torch.no_grad():
        quantizer(x)
    assert float(quantizer.entries.abs().max()) < 50
    assert len(quantizer.encode(x).unique()) > 8


def test_fewer_books_for_some_examples_only_while_training():
    quantizer = small(fewer_books=1.0).build().train()
    x = torch.randn(16, 6, 8)
    quantizer.start(torch.cat((x, torch.randn(16, 6, 8))))
    entries = quantizer.entries.clone()
    with torch.no_grad():
        made = quantizer(x).values
        quantizer.entries.copy_(entries)
        full = quantizer.eval()(x).values
    differs = (made - full).abs().amax(dim=(1, 2)) > 1e-5
    assert 0 < int(differs.sum()) < 16


def test_the_split_adds_its_halves_and_can_be_cut_short():
    config = SplitConfig(semantic=small(books=1), acoustic=small(books=2))
    split = config.build().eval()
    split.start(torch.randn(4, 6, 64))
    x = torch.randn(2, 6, 5)
    codes = split.encode(x)
    assert codes.shape == (2, 3, 5) and int(codes.max()) < 8
    for quantizer in (split, small().build().eval()):
        if not quantizer.started:
            quantizer.start(torch.randn(4, 6, 64))
        made = quantizer(x)
        assert torch.equal(made.codes, quantizer.encode(x))
        assert torch.allclose(made.values, quantizer.decode(made.codes), atol=1e-5)
        assert torch.allclose(made.meaning, quantizer.decode(made.codes[:, :1]), atol=1e-5)
    for books in (0, 4):
        with pytest.raises(SpecError, match="wanted 1 to 3"):
            split.decode(torch.zeros(1, books, 2, dtype=torch.long))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError):
        SplitConfig(semantic=small(dim=5), acoustic=small()).build()
    with pytest.raises(ConfigError):
        small(books=0).build()
    with pytest.raises(SpecError, match="at least 8"):
        small().build().start(torch.randn(1, 6, 4))


def test_entropy_counts_bits():
    even = torch.arange(8).view(1, 1, 8)
    assert torch.allclose(entropy(even, 8), torch.tensor([3.0])) and torch.allclose(
        perplexity(even, 8), torch.tensor([8.0])
    )
    assert float(entropy(torch.zeros(1, 1, 9, dtype=torch.long), 8)) == 0
    mask = torch.tensor([[True, True] + [False] * 6])
    assert torch.allclose(entropy(even, 8, mask), torch.tensor([1.0]))
