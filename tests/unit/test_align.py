"""Alignment: the path takes the pronunciation and the pauses that are really there."""

import pytest
import torch

from vivavoce.core.errors import SpecError
from vivavoce.nn.align import FrameClassifierConfig, Span, align, decode, lattice


def scores_of(phones: list[int], n_phones: int = 6) -> torch.Tensor:
    scores = torch.full((len(phones), n_phones), -5.0)
    scores[torch.arange(len(phones)), torch.tensor(phones)] = -0.1
    return scores


def test_takes_the_spoken_form_and_the_pause() -> None:
    words = [[[1, 2], [1, 3]], [[4]]]
    spans, score = align(scores_of([0] * 4 + [1] * 3 + [3] * 5 + [0] * 6 + [4] * 4), lattice(words))
    assert spans == [Span(0, -1, 0, 4), Span(1, 0, 4, 7), Span(3, 0, 7, 12), Span(0, -1, 12, 18), Span(4, 1, 18, 22)]
    assert score == pytest.approx(-0.1)


def test_pauses_may_be_absent_and_a_repeated_phone_is_two() -> None:
    spans, _ = align(scores_of([1] * 6 + [2] * 2), lattice([[[1]], [[1, 2]]]))
    assert [(s.phone, s.word) for s in spans] == [(1, 0), (1, 1), (2, 1)]
    assert all(s.end - s.begin >= 2 for s in spans)


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(SpecError, match="too few"):
        align(scores_of([1, 2]), lattice([[[1, 2, 3]]]))


def test_decodes_without_words() -> None:
    follows = torch.full((6, 6), -2.0)
    spans = decode(scores_of([0, 0, 0, 2, 2, 2, 2, 5, 2, 2, 2]), follows, switch=2.0)
    assert [s.phone for s in spans] == [0, 2]


def test_classifier_is_indifferent_to_level() -> None:
    torch.manual_seed(0)
    model = FrameClassifierConfig(bins=8, width=16, phones=6).build().eval()
    mel = torch.randn(2, 30, 10)
    assert torch.allclose(model(mel), model(mel + 3.0), atol=1e-4)
    assert model(mel).shape == (2, 30, 6)
