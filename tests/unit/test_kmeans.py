"""k-means: it finds what is there, uses every centre, and what is stored gives the same ids."""

import pytest
import torch

from vivavoce.core.errors import SpecError
from vivavoce.core.parts import load_part, save_part
from vivavoce.nn.kmeans import FitConfig, distortion, fit


def _blobs(size: int, each: int, dim: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    means = 8 * torch.randn(size, dim, generator=draw)
    labels = torch.arange(size).repeat_interleave(each)
    return means[labels] + 0.3 * torch.randn(size * each, dim, generator=draw), labels


def test_features_are_brought_to_one_spread_first_and_that_is_kept_with_the_centres(tmp_path) -> None:
    frames, labels = _blobs(6, 200)
    scale = torch.tensor([1.0, 300.0, 0.02, 5.0, 1.0, 40.0])
    shift = torch.tensor([0.0, -900.0, 7.0, 0.0, 100.0, 1.0])
    config = FitConfig(batch=512, steps=60)
    plain, stretched = fit(frames, 6, config), fit(frames * scale + shift, 6, config)
    same = (plain(frames) == stretched(frames * scale + shift)).float().mean()
    assert same > 0.999  # centres are kept in half precision
    torch.testing.assert_close(stretched.mean, (frames * scale + shift).mean(0), rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(stretched.deviation, (frames * scale).std(0), rtol=1e-3, atol=1e-3)
    save_part(tmp_path, "kmeans", stretched.config, stretched)
    again = load_part(tmp_path, "kmeans")
    assert torch.equal(again.mean, stretched.mean) and torch.equal(again.deviation, stretched.deviation)
    assert (fit(frames * scale, 6, FitConfig(batch=512, steps=60, scaled=False)).deviation == 1).all()
    assert len(labels.unique()) == 6


def test_separate_clusters_are_found_each_by_one_centre() -> None:
    frames, labels = _blobs(12, 100)
    ids = fit(frames, 12, FitConfig(batch=512, steps=80))(frames)
    for label in range(12):
        assert len(ids[labels == label].unique()) == 1
    assert len(ids.unique()) == 12


def test_random_starts_and_re_seeding_find_them_too() -> None:
    """A random start puts two centres into one cluster and none into another; only dead centres that move mend it."""
    frames, _ = _blobs(12, 200)
    spread = fit(frames, 24, FitConfig(plus_plus=False, starts=1, trial_steps=0, batch=512, steps=200))
    assert len(spread(frames).unique()) == 24
    assert distortion(spread.normalize(frames), spread.centers) < 0.005


def test_error_is_that_of_scikit_learn() -> None:
    from sklearn.cluster import MiniBatchKMeans

    frames = torch.randn(6000, 16, generator=torch.Generator().manual_seed(3)) @ torch.randn(
        16, 16, generator=torch.Generator().manual_seed(4)
    )
    ours = fit(frames, 50, FitConfig(batch=1024, steps=120))
    x = ours.normalize(frames)
    theirs = MiniBatchKMeans(50, batch_size=1024, n_init=5, random_state=0, max_iter=40).fit(x.numpy())
    wanted = float(theirs.inertia_) / x.numel()
    assert distortion(x, ours.centers) < 1.03 * wanted


def test_stored_centres_give_the_same_ids_and_the_same_alphabet(tmp_path) -> None:
    frames = torch.randn(800, 5, generator=torch.Generator().manual_seed(1)) * 3 + 2
    made = fit(frames, 20, FitConfig(batch=256, steps=30), features="noise")
    save_part(tmp_path, "kmeans", made.config, made, dtype=torch.float16)
    again = load_part(tmp_path, "kmeans")
    assert torch.equal(made(frames), again(frames))
    assert made.alphabet == again.alphabet
    other = fit(frames, 20, FitConfig(batch=256, steps=30), features="other noise")
    assert torch.equal(other.centers, made.centers) and other.alphabet != made.alphabet


def test_flat_features_do_no_harm_and_shapes_are_kept() -> None:
    frames = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    frames[:, 2] = 7.0
    made = fit(frames, 4, FitConfig(batch=64, steps=10))
    assert made(frames.reshape(10, 20, 4)).shape == (10, 20)
    assert made(torch.zeros(0, 4)).shape == (0,)
    assert torch.isfinite(made.vectors(made(frames))).all()


def test_too_few_frames_nan_and_other_widths_are_refused() -> None:
    frames = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    with pytest.raises(SpecError, match="at least 80"):
        fit(frames, 40)
    with pytest.raises(SpecError, match="not finite"):
        fit(torch.where(frames > 1, torch.nan, frames), 4)
    with pytest.raises(SpecError, match="wanted 4"):
        fit(frames, 4, FitConfig(batch=16, steps=5))(torch.zeros(3, 5))
