"""The judge of waves, held against its definition with the library's layers and against what it is for."""

import torch
from torch import nn
from torch.nn import functional as F

from vivavoce.losses.adversarial import judge_squares, maker_squares
from vivavoce.nn.discriminate import DiscriminatorConfig, below


def test_the_wave_is_judged_as_melgan_defines_it():
    config = DiscriminatorConfig(windows=(), scales=3, scale_channels=4)
    judge, wave, highest = config.build(), torch.randn(2, 2048), torch.tensor([12000.0, 6000.0])
    found = judge(wave, highest)
    assert len(found) == 3
    shapes = [(1, 4, 15, 1, 1), (4, 16, 41, 4, 1), (16, 64, 41, 4, 4), (64, 256, 41, 4, 16), (256, 256, 41, 4, 64)]
    shapes += [(256, 256, 5, 1, 1)]
    x = below(wave, highest, 24000)[:, None]
    for scale, judged in zip(judge.scales, found, strict=True):
        y, own = x, iter([value.detach() for value in scale.state_dict().values()])
        for seen, (inputs, outputs, kernel, stride, groups) in zip(judged.features, shapes, strict=True):
            layer = nn.utils.parametrizations.weight_norm(
                nn.Conv1d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
            )
            layer.load_state_dict({name: next(own) for name in layer.state_dict()})
            y = F.leaky_relu(layer(y), 0.2)
            assert torch.allclose(seen[..., 0], y, atol=1e-5)
        score = nn.utils.parametrizations.weight_norm(nn.Conv1d(256, 1, 3, padding=1))
        score.load_state_dict({name: next(own) for name in score.state_dict()})
        assert torch.allclose(judged.score[..., 0], score(y), atol=1e-5)
        x = F.avg_pool1d(x, 4, stride=2, padding=1, count_include_pad=False)


def test_what_lies_above_the_trusted_frequencies_changes_no_judgement():
    judge = DiscriminatorConfig(windows=(), scales=2, scale_channels=4).build()
    wave, highest = torch.randn(1, 4096), torch.tensor([4000.0])
    above = wave - below(wave, highest, 24000)
    for a, b in zip(judge(wave, highest), judge(wave - above, highest), strict=True):
        assert torch.allclose(a.score, b.score, atol=1e-5)


def test_least_squares_are_their_definition():
    real, made = [torch.randn(2, 1, 3, 1), torch.randn(2, 1, 5, 1)], [torch.randn(2, 1, 3, 1), torch.randn(2, 1, 5, 1)]
    pairs = zip(real, made, strict=True)
    judged = sum(F.mse_loss(a, torch.ones_like(a)) + F.mse_loss(b, torch.zeros_like(b)) for a, b in pairs) / 2
    assert torch.allclose(judge_squares(real, made), torch.as_tensor(judged))
    assert torch.allclose(maker_squares(made), torch.stack([F.mse_loss(b, torch.ones_like(b)) for b in made]).mean())
