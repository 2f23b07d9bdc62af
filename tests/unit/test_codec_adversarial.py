"""One task for all codecs with judges: books by k-means first, balanced gradients, judges that rest, a teacher."""

import pytest
import torch

from vivavoce.losses.adversarial import Balancer
from vivavoce.losses.spectral import AlphaSpectral
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.systems.soundstream import soundstream
from vivavoce.systems.speechtokenizer import speechtokenizer
from vivavoce.train.tasks.codec import SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights, CodecAdversarial

JUDGES = DiscriminatorConfig(windows=(128,), channels=4, periods=(2,), period_channels=2)


def batch(**more: torch.Tensor) -> SoundBatch:
    wave = 0.3 * torch.randn(4, 1600)
    return SoundBatch(wave, torch.full((4,), 100), torch.full((4,), 12000.0), 0.2, **more)


def test_a_step_reaches_all_of_the_codec_and_none_of_the_judges():
    config = soundstream(channels=2, dim=8, strides=(2, 5), books=2, size=16, dead_below=0.0)
    task, given = CodecAdversarial(config, JUDGES), batch()
    assert not task.codec.quantizer.started
    out = task.outputs(given)
    assert task.codec.quantizer.started and len(task.codec.quantizer.entries.unique(dim=1)[0]) > 8
    losses = task.losses("codec", given, out)
    assert losses.keys() == {"pull", "commit", "mel", "wave", "adversarial", "features"}
    sum(term.weight * term.value for term in losses.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and bool(p.grad.any()) for p in task.codec.parameters())
    task.judges.zero_grad()
    task.codec.zero_grad()
    task.losses("judges", given, task.outputs(given))["judges"].value.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.codec.parameters())
    assert any(p.grad is not None and bool(p.grad.any()) for p in task.judges.parameters())


def test_the_balancer_gives_each_term_its_share_whatever_its_scale():
    balancer, wave = Balancer(3, decay=0.9), torch.randn(4, 50)
    shares = (1.0, 3.0, 0.5)
    norms = torch.zeros(3)
    for _ in range(40):
        made = (wave + 0.1 * torch.randn(4, 50)).requires_grad_()
        terms = [made[:, 0:15].square().sum(), 1000 * made[:, 15:30].abs().sum(), 0.01 * made[:, 30:].square().sum()]
        pull = balancer(terms, shares, made)
        norms = torch.stack([pull[:, a:b].norm(dim=1).mean() for a, b in ((0, 15), (15, 30), (30, 50))])
    assert torch.allclose(norms / norms[0], torch.tensor(shares), rtol=0.1)


def test_judges_rest_in_a_third_of_the_steps_and_alone_count_for_mimi():
    config = soundstream(channels=2, dim=8, strides=(2, 5), books=2, size=16, dead_below=0.0)
    task = CodecAdversarial(config, JUDGES)
    rests = [task.skip("judges", step) for step in range(600)]
    assert 0.27 < sum(rests) / 600 < 0.4 and rests == [task.skip("judges", step) for step in range(600)]
    assert not any(task.skip("codec", step) for step in range(20))
    alone = CodecAdversarial(config, JUDGES, AdversarialWeights(wave=0.0, mel=0.0))
    given = batch()
    alone.losses("codec", given, alone.outputs(given))["pull"].value.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in alone.codec.back.parameters())


def test_without_their_terms_nobody_judges(monkeypatch: pytest.MonkeyPatch):
    config = soundstream(channels=2, dim=8, strides=(2, 5), books=2, size=16, dead_below=0.0)
    for weights in (AdversarialWeights(adversarial=0.0, features=0.0, balanced=balanced) for balanced in (True, False)):
        task = CodecAdversarial(config, JUDGES, weights)
        monkeypatch.setattr(task.judges, "forward", lambda *_: pytest.fail("judges cost time and change nothing"))
        assert task.skip("judges", 0) and not task.skip("codec", 0)
        given = batch()
        terms = task.losses("codec", given, task.outputs(given))
        assert terms.keys() == {"pull", "commit", "mel", "wave"}
        terms["pull"].value.backward()
        assert all(p.grad is not None and bool(p.grad.any()) for p in task.codec.back.parameters())


def test_a_teacher_joins_where_there_is_one():
    config = speechtokenizer(channels=2, dim=8, strides=(2, 5), books=2, size=16, teacher_dim=5, dead_below=0.0)
    task = CodecAdversarial(config, JUDGES)
    given = batch(teacher=torch.randn(4, 5, 160), teacher_known=torch.ones(4, 160, dtype=torch.bool))
    term = task.losses("codec", given, task.outputs(given))["teacher"]
    term.value.backward()
    assert task.codec.teach is not None and task.codec.teach.weight.grad is not None


def test_alpha_weighs_logarithms_by_the_window():
    real = torch.randn(1, 8192)
    small, large = (AlphaSpectral(24000, (window,)) for window in (128, 512))
    assert float(small(real, real)) < 1e-3
    ratio = float(large(1e-3 * real, real) / small(1e-3 * real, real))
    assert ratio == pytest.approx(2.0, rel=0.35)
