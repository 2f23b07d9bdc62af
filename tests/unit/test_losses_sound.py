"""Losses of sound: what they measure, what they leave out, and their gradients."""

import torch

from vivavoce.losses.adversarial import Balancer, feature_matching, judge_hinge, maker_hinge
from vivavoce.losses.spectral import MultiSpectralConfig, magnitudes
from vivavoce.losses.vq import commitment, distillation
from vivavoce.nn.discriminate import DiscriminatorConfig

WIDE = torch.tensor([12000.0])


def sine(hz: float, n: int = 9600) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(n) / 24000)[None]


def test_spectral_distance_is_zero_for_equals_and_grows():
    loss = MultiSpectralConfig().build().eval()
    same = loss(sine(500), sine(500), WIDE)
    near, far = loss(sine(510), sine(500), WIDE), loss(sine(3000), sine(500), WIDE)
    for a, b, c in zip(same, near, far, strict=True):
        assert float(a) == 0 and 0 < float(b) < float(c)


def test_frequencies_above_the_limit_do_not_count():
    loss = MultiSpectralConfig().build().eval()
    low = torch.randn(1, 9600)
    spectrum = torch.fft.rfft(low)
    changed = spectrum.clone()
    changed[:, 4000:] *= 3.0  # above 10 kHz
    pair = torch.fft.irfft(changed), torch.fft.irfft(spectrum)
    assert sum(map(float, loss(*pair, torch.tensor([8000.0])))) < 0.2 * sum(map(float, loss(*pair, WIDE)))


def test_windows_are_drawn_while_training_only():
    loss = MultiSpectralConfig(drawn=1).build()
    pair = torch.randn(1, 9600), torch.randn(1, 9600)
    assert len({float(loss.train()(*pair, WIDE)[0]) for _ in range(12)}) > 1
    assert len({float(loss.eval()(*pair, WIDE)[0]) for _ in range(3)}) == 1


def test_the_gradient_of_magnitudes_is_right():
    for size in (8, 9):
        window = torch.hann_window(size)
        wave = torch.randn(1, 40)
        ours = wave.clone().requires_grad_()
        theirs = wave.clone().requires_grad_()
        weights = torch.randn_like(magnitudes(wave, window))
        (magnitudes(ours, window) * weights).sum().backward()
        frames = theirs.unfold(-1, size, size // 4) * window
        (torch.fft.rfft(frames).abs() * weights).sum().backward()
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)  # type: ignore[arg-type]


def test_hinges_and_features():
    good, poor = [torch.full((2, 1, 3, 3), 2.0)], [torch.full((2, 1, 3, 3), -2.0)]
    assert float(judge_hinge(good, poor)) == 0 and float(judge_hinge(poor, good)) == 6
    assert float(maker_hinge(good)) == 0 and float(maker_hinge(poor)) == 3
    real = [[torch.ones(1, 2, 3, 3, requires_grad=True)]]
    made = [[torch.full((1, 2, 3, 3), 1.5, requires_grad=True)]]
    distance = feature_matching(real, made)
    distance.backward()
    assert abs(float(distance.detach()) - 0.5) < 1e-6 and real[0][0].grad is None and made[0][0].grad is not None


def test_the_balancer_gives_each_loss_its_share():
    balancer = Balancer(2)
    made = torch.randn(3, 50, requires_grad=True)
    losses = (made.square().mean(), 1000 * (made - 1).abs().mean())
    one = torch.autograd.grad(losses[0], made, retain_graph=True)[0]
    both = balancer(losses, (1.0, 0.5), made)
    pushed = (both - one).flatten(1).norm(dim=1).mean()
    assert abs(float(pushed / one.flatten(1).norm(dim=1).mean()) - 0.5) < 0.01
    assert torch.allclose(balancer(losses, (1.0, 0.0), made), one, atol=1e-6)


def test_judges_see_nothing_above_the_limit_and_learn_from_every_layer():
    judges = DiscriminatorConfig(windows=(256, 128), channels=4, periods=(2, 3), period_channels=2).build()
    wave = torch.randn(2, 3000)
    high = torch.fft.rfft(wave)
    high[:, : 3000 * 9000 // 24000] = 0
    louder = wave + torch.fft.irfft(high)
    limit = torch.full((2,), 6000.0)
    for a, b in zip(judges(wave, limit), judges(louder, limit), strict=True):
        assert torch.allclose(a.score, b.score, atol=0.1)
        assert len(a.features) in (3, 5)
    torch.stack([j.score.mean() for j in judges(wave, limit)]).sum().backward()
    assert all(parameter.grad is not None for parameter in judges.parameters())


def test_the_teacher_is_met_where_it_is_known():
    made, teacher = torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    known = torch.tensor([[True, True, False, False], [False] * 4])
    teacher[:, :, 2:] = float("1e3")
    teacher[0, :, :2] = 2 * made[0, :, :2]
    assert abs(float(distillation(made, teacher, known))) < 1e-6
    assert float(distillation(made, teacher, torch.zeros(2, 4, dtype=torch.bool))) == 0
    assert float(distillation(-made, teacher, known)) > 1.9


def test_commitment():
    x = torch.zeros(1, 3, 2, requires_grad=True)
    assert float(commitment(x, torch.ones(1, 3, 2)).detach()) == 3
