"""Augmentation of features: what must stay stays, what is added adds up, batches keep to their shares."""

import math
from dataclasses import replace

import pytest
import torch

from vivavoce.audio.augment import (
    AugmentConfig,
    add,
    augment,
    excerpts,
    mask,
    reverberate,
    rumble,
    stretched,
    warp_bins,
)
from vivavoce.data.mixture import Mixture
from vivavoce.data.packed import UNKNOWN, PhoneUtterance, load_packed, pack
from vivavoce.models.listener import ListenerConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.recipes.listener import collapse
from vivavoce.train.tasks.listener import ListenerTask


def speech(rows: int = 4, frames: int = 120) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(rows, 80, frames, generator=draw) - 4


def test_without_strength_only_a_little_changes() -> None:
    mel = speech()
    made = augment(mel, torch.full((4,), 120), AugmentConfig().softened(0.0), torch.Generator().manual_seed(1))
    assert torch.allclose(made, mel, atol=0.05)


def test_any_strength_gives_finite_features_that_differ_between_steps() -> None:
    mel = speech()
    lengths = torch.tensor([120, 90, 60, 40])
    made = [augment(mel, lengths, AugmentConfig(), torch.Generator().manual_seed(seed)) for seed in (1, 2, 1)]
    assert all(bool(one.isfinite().all()) for one in made)
    assert torch.equal(made[0], made[2]) and not torch.equal(made[0], made[1])


def test_warping_by_one_is_nothing_and_moves_formants_otherwise() -> None:
    mel = torch.full((1, 80, 3), -9.0)
    mel[0, 40] = 0.0
    assert torch.allclose(warp_bins(mel, torch.ones(1)), mel, atol=1e-2)
    assert int(warp_bins(mel, torch.tensor([1.1]))[0, :, 0].argmax()) == round(40 / 1.1)


def test_two_equal_sounds_are_three_decibels_louder() -> None:
    mel = speech()
    assert torch.allclose(add(mel, mel) - mel, torch.tensor(0.5 * math.log(2)), atol=1e-4)


def test_a_room_sounds_on_after_the_sound() -> None:
    mel = torch.full((1, 80, 80), -11.0)
    mel[:, :, 10] = 0.0
    wet = reverberate(mel, torch.tensor([0.5]), torch.tensor([1.0]), 100)
    assert torch.allclose(wet[:, :, :10], mel[:, :, :10], atol=0.4)
    assert bool((wet[0, 0, 11:30].diff() < 0).all()) and float(wet[0, 0, 20]) > -4


def test_masks_hide_bands() -> None:
    config = AugmentConfig(masks=1, mask_bins=10, mask_frames=10)
    made = mask(speech(), config, torch.Generator().manual_seed(3))
    hidden = made == speech().mean((1, 2), keepdim=True)
    assert hidden.any() and hidden.float().mean() < 0.3


def test_stretching_is_linear_interpolation_of_each_utterance_alone() -> None:
    frames = torch.randn(150, 80, generator=torch.Generator().manual_seed(1))
    begins, lengths, sizes = torch.tensor([0, 100]), torch.tensor([100, 50]), torch.tensor([150, 41])
    made = stretched(frames, begins, lengths, sizes)
    assert made.shape == (2, 80, 150)
    for row, (begin, length, size) in enumerate(zip(begins, lengths, sizes, strict=True)):
        own = frames[begin : begin + length].T[None]
        wanted = torch.nn.functional.interpolate(own, size=int(size), mode="linear", align_corners=False)[0]
        assert torch.allclose(made[row, :, :size], wanted, atol=1e-4)
    assert bool((made[1, :, 41:] < -11).all())


def test_longer_utterances_have_more_masks() -> None:
    config = AugmentConfig(masks=1, mask_bins=0, mask_frames=10, mask_period=50)
    mel = torch.arange(2000.0)[None, None].repeat(1, 80, 1)
    assert (mask(mel, config, torch.Generator().manual_seed(3)) != mel)[0, 0].sum() > 60


def test_rumble_is_low_and_recordings_are_taken_as_they_are() -> None:
    draw = torch.Generator().manual_seed(2)
    made = rumble(8, 80, 300, draw).mean(2)
    assert bool((made[:, 0] - made[:, -1] > 3).all())
    recorded = torch.arange(50.0)[:, None].expand(-1, 80)
    pieces = excerpts(recorded, 6, 70, draw)  # longer than the recording: it begins again
    assert pieces.shape == (6, 80, 70)
    assert bool(((pieces[:, 0].diff() == 1) | (pieces[:, 0].diff() == -49)).all())


def test_voices_and_recorded_noise_lie_at_the_level_that_is_asked_for() -> None:
    mel = torch.full((4, 80, 200), -3.0)
    only = {"warp": 0.0, "tempo": 0.0, "gain_db": 0.0, "tilt_db": 0.0, "room": 0.0, "narrow": 0.0, "masks": 0}
    still = AugmentConfig(**only, mask_period=10**6, noise=1.0, babble=0.0, clatter=0.0, snr_db=(60.0, 60.0))
    lengths = torch.full((4,), 200)
    for config, recorded in (
        (replace(still, babble=1.0, babble_db=(0.0, 0.0)), None),
        (replace(still, recorded=1.0, snr_db=(0.0, 0.0)), torch.full((90, 80), -9.0)),
    ):
        made = augment(mel, lengths, config, torch.Generator().manual_seed(1), recorded)
        assert float((made - mel).mean()) > 0.3  # 3 dB more, or hiss as well


def utterances(count: int, frames: int, phone: int) -> list[PhoneUtterance]:
    labels = torch.full((frames // 2,), UNKNOWN, dtype=torch.uint8)
    return [PhoneUtterance(torch.full((80, frames), -float(phone)), [phone] * 5, labels) for _ in range(count)]


def test_batches_keep_to_the_shares_of_their_groups() -> None:
    packs = {"few": pack(utterances(3, 210, 1)), "many": pack(utterances(60, 240, 2))}
    mixture = Mixture(packs, {"few": 0.75, "many": 0.25}, AugmentConfig(), frames=4000)
    phones = torch.cat([mixture(step).phones for step in range(30)])
    share = float((phones == 1).float().mean())
    assert share == pytest.approx(0.75 / 210 / (0.75 / 210 + 0.25 / 240), abs=0.06)
    assert torch.equal(mixture(7).mel, mixture(7).mel)


def test_a_batch_holds_what_its_utterances_were() -> None:
    labels = torch.arange(1, 61, dtype=torch.uint8)
    one = PhoneUtterance(torch.full((80, 120), -3.0), [1, 2, 3], labels)
    other = PhoneUtterance(torch.full((80, 100), -4.0), [4, 5], torch.full((50,), 9, dtype=torch.uint8))
    quiet = {"warp": 0.0, "tempo": 0.0, "gain_db": 0.0, "tilt_db": 0.0, "room": 0.0, "noise": 0.0, "narrow": 0.0}
    still = AugmentConfig(**quiet, masks=0, mask_period=10**6)
    batch = Mixture({"a": pack([one]), "b": pack([other])}, {"a": 0.5, "b": 0.5}, still, frames=1500)(3)
    for row, count in enumerate(batch.n_phones.tolist()):
        whole = one if count == 3 else other
        length = whole.mel.shape[1]
        assert batch.lengths[row] == length
        assert batch.phones[row, :count].tolist() == whole.phones
        assert torch.equal(batch.labels[row, : length // 2], whole.labels)
        assert torch.allclose(batch.mel[row, :, :length], whole.mel, atol=0.05)


def test_noise_is_learnt_as_nothing() -> None:
    quiet = PhoneUtterance(torch.full((80, 90), -6.0), [], torch.zeros(45, dtype=torch.uint8))
    packs = {"noise": pack([quiet]), "a": pack(utterances(1, 90, 3)), "background": pack([quiet])}
    shares, config = {"noise": 0.9, "a": 0.1}, AugmentConfig()
    mixture = Mixture(packs, shares, config, frames=600)
    task = ListenerTask(ListenerConfig(trunk=ConformerConfig(dim=32, layers=1, heads=2)))
    for step in range(3):
        batch = mixture(step)
        out = task.outputs(batch)
        terms = task.losses("model", batch, out)
        assert (batch.n_phones == 0).any() and all(bool(term.value.isfinite()) for term in terms.values())
    alone = Mixture({"noise": pack([quiet])}, shares, config, frames=600)(0)  # nobody speaks in the whole batch
    out = task.outputs(alone)
    blanks = -out.ctc[..., 0].sum() / len(alone.n_phones)
    assert float(task.losses("model", alone, out)["ctc"].value.detach()) == pytest.approx(
        float(blanks.detach()), rel=0.2
    )


def test_packed_utterances_come_back(tmp_path) -> None:
    made = pack([*utterances(2, 50, 3), *utterances(1, 70, 4)])
    made.save(tmp_path / "a.safetensors")
    back = load_packed(tmp_path / "a.safetensors")
    assert len(back) == 3 and back[2].mel.shape == (80, 70) and back[2].phones == [4] * 5
    assert back.lengths().tolist() == [50, 50, 70]


def test_collapse_merges_repeats() -> None:
    assert collapse(torch.tensor([0, 3, 3, 0, 3, 5, 5, 0])) == [3, 3, 5]
