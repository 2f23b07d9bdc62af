"""Fresh nets of convolutions neither shrink nor grow what they are given, once they have heard some."""

import pytest
import torch
from torch import nn

from vivavoce.nn.centred import CentredConv
from vivavoce.nn.levelled import level
from vivavoce.nn.seanet import SeanetConfig

NET = SeanetConfig(dim=16, channels=4, strides=(2, 4, 5), causal=False, trim="both", edge="reflect")


@pytest.mark.parametrize("causal", [False, True])
def test_every_layer_has_one_size_and_the_sound_its_own(causal: bool) -> None:
    torch.manual_seed(0)
    net = SeanetConfig(dim=16, channels=4, strides=(2, 4, 5), causal=True) if causal else NET
    front, back = net.encoder(), net.decoder()
    wave = 0.05 * torch.randn(4, 1, 800)
    quiet = front(wave)
    assert quiet.std((0, 2)).mean() < 0.1, "a fresh net's vectors are nearly the same for every frame"
    vectors = level(front, wave)
    made = level(back, vectors, size=0.05)
    assert torch.allclose(front(wave), vectors, atol=1e-4) and torch.allclose(back(front(wave)), made, atol=1e-4)
    assert 0.99 < float(vectors.std()) < 1.01 and 0.0495 < float(made.std()) < 0.0505
    assert vectors.std((0, 2)).mean() > 0.5, "they vary with the sound now"


def test_what_is_normed_afterwards_stays_and_a_net_without_convolutions_is_only_run() -> None:
    normed = SeanetConfig(dim=16, channels=4, strides=(2, 4), normed=True, causal=False, trim="both").encoder()
    before = {name: value.clone() for name, value in normed.state_dict().items()}
    level(normed, torch.randn(2, 1, 160))
    kept = [n for n, one in normed.named_modules() if isinstance(one, CentredConv) and one.norm is not None]
    assert kept and all(torch.equal(normed.get_submodule(n).weight, before[f"{n}.weight"]) for n in kept)
    assert level(nn.Identity(), torch.ones(2)).sum() == 2
