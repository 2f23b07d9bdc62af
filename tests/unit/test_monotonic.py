"""Monotonic alignment search beside every path there is, and beside the plain dynamic programme."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch

from vivavoce.core.errors import SpecError
from vivavoce.nn.monotonic import monotonic_durations, path_of


def every_path(scores: torch.Tensor) -> tuple[float, list[int]]:
    """The best of all ways to cut the frames into as many pieces as there are tokens."""
    tokens, frames = scores.shape
    found = []
    for cuts in combinations(range(1, frames), tokens - 1):
        edges = (0, *cuts, frames)
        found.append((sum(float(scores[i, edges[i] : edges[i + 1]].sum()) for i in range(tokens)), edges))
    best, edges = max(found)
    return best, [b - a for a, b in pairwise(edges)]


def programme(scores: np.ndarray) -> list[int]:
    """Frame by frame, as the method is written down."""
    tokens, frames = scores.shape
    best = np.full((tokens, frames), -np.inf)
    for t in range(frames):
        for s in range(min(tokens, t + 1)):
            stay = best[s, t - 1] if t else -np.inf
            move = best[s - 1, t - 1] if t and s else (0.0 if t == s == 0 else -np.inf)
            best[s, t] = scores[s, t] + max(stay, move)
    durations, s = [0] * tokens, tokens - 1
    for t in range(frames - 1, -1, -1):
        durations[s] += 1
        if t and s and (s == t or best[s - 1, t - 1] > best[s, t - 1]):
            s -= 1
    return durations


def test_it_is_the_best_of_all_paths() -> None:
    scores = torch.randn(8, 4, 9)
    tokens, frames = torch.tensor([4, 3, 2, 1, 4, 4, 3, 2]), torch.tensor([9, 9, 8, 7, 4, 6, 3, 9])
    found = monotonic_durations(scores, tokens, frames)
    for row, (size, length) in enumerate(zip(tokens.tolist(), frames.tolist(), strict=True)):
        _, wanted = every_path(scores[row, :size, :length])
        assert found[row].tolist() == wanted + [0] * (4 - size)


def test_it_equals_the_plain_programme_on_long_rows() -> None:
    scores = torch.randn(2, 40, 300)
    tokens, frames = torch.tensor([40, 23]), torch.tensor([300, 211])
    found = monotonic_durations(scores, tokens, frames)
    for row, (size, length) in enumerate(zip(tokens.tolist(), frames.tolist(), strict=True)):
        assert found[row, :size].tolist() == programme(scores[row, :size, :length].double().numpy())


def test_paths_are_monotone_and_cover_every_token_and_frame() -> None:
    tokens, frames = torch.tensor([12, 5]), torch.tensor([50, 31])
    path = path_of(monotonic_durations(torch.rand(2, 12, 50), tokens, frames), 50)
    for row, (size, length) in enumerate(zip(tokens.tolist(), frames.tolist(), strict=True)):
        assert (path[row].sum(0)[:length] == 1).all() and not path[row, :, length:].any()
        owner = path[row, :, :length].long().argmax(0)
        assert owner[0] == 0 and owner[-1] == size - 1 and set(owner.diff().tolist()) <= {0, 1}


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(SpecError, match="5 tokens cannot be held over 4 frames"):
        monotonic_durations(torch.zeros(1, 5, 6), torch.tensor([5]), torch.tensor([4]))
