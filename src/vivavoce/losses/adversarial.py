"""Losses between a maker of sound and its judges, and the balancer that keeps them in proportion (EnCodec §3.4)."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu, softplus


def judge_hinge(real: Sequence[Float[Tensor, "..."]], made: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """For the judges: real scores above 1, made ones below -1; the mean over judges."""
    pairs = [relu(1 - a.float()).mean() + relu(1 + b.float()).mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(pairs).mean()


def maker_hinge(made: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """For the maker: scores as high as can be, up to where a judge is wholly convinced."""
    return torch.stack([relu(1 - score.float()).mean() for score in made]).mean()


def judge_squares(real: Sequence[Float[Tensor, "..."]], made: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """The same by least squares (arXiv:1611.04076): real scores to 1, made ones to 0."""
    pairs = [(1 - a.float()).square().mean() + b.float().square().mean() for a, b in zip(real, made, strict=True)]
    return torch.stack(pairs).mean()


def maker_squares(made: Sequence[Float[Tensor, "..."]]) -> Float[Tensor, ""]:
    """For the maker, by least squares: scores to 1."""
    return torch.stack([(1 - score.float()).square().mean() for score in made]).mean()


def feature_matching(
    real: Sequence[Sequence[Float[Tensor, "..."]]], made: Sequence[Sequence[Float[Tensor, "..."]]]
) -> Float[Tensor, ""]:
    """Mean distance of what the judges' layers see, relative to the size of it in real sound.

    No gradient to the real.
    """
    pairs = [
        (a.detach().float(), b.float()) for x, y in zip(real, made, strict=True) for a, b in zip(x, y, strict=True)
    ]
    return torch.stack([(a - b).abs().mean() / a.abs().mean().clamp(min=1e-3) for a, b in pairs]).mean()


@final
class Balancer(nn.Module):
    """Gives each loss a chosen share of the gradient at the made sound, whatever its scale (EnCodec §3.4).

    The norms of the losses' gradients are followed by moving averages, which are buffers: a resumed run goes on with
    them. Departs from the paper: the first loss keeps its own scale and the others are measured by it, so that terms
    that do not pass through the sound (commitment) keep their weight beside it.
    """

    norms: Tensor

    def __init__(self, losses: int, decay: float = 0.99) -> None:
        """For so many losses."""
        super().__init__()
        self.decay = decay
        self.register_buffer("norms", torch.zeros(losses))

    def forward(
        self, losses: Sequence[Float[Tensor, ""]], shares: Sequence[float], made: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B N"]:
        """The balanced gradient at ``made``; a share of 0 follows a loss without using it."""
        gradients = [torch.autograd.grad(loss, made, retain_graph=True)[0].float() for loss in losses]
        now = torch.stack([gradient.flatten(1).norm(dim=1).mean() for gradient in gradients])
        fresh = self.norms == 0
        self.norms.mul_(self.decay).add_(now, alpha=1 - self.decay)
        self.norms.copy_(torch.where(fresh, now, self.norms))
        scales = self.norms[0] / self.norms.clamp(min=1e-12) * torch.tensor(shares, device=now.device) / shares[0]
        return sum(
            (scale * gradient for scale, gradient in zip(scales, gradients, strict=True)), torch.zeros_like(made)
        )


def judge_logistic(real: Float[Tensor, "..."], made: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """For a judge that says how likely something is real, by logits (arXiv:1406.2661)."""
    return softplus(-real.float()).mean() + softplus(made.float()).mean()


def maker_logistic(made: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """For the maker of what it judges."""
    return softplus(-made.float()).mean()


def gradient_penalty(score: Float[Tensor, "B ..."], real: Float[Tensor, "B ..."]) -> Float[Tensor, ""]:
    """R1 (arXiv:1801.04406): how steep a judge is at what is real, squared, half of its mean over rows.

    ``real`` wants a gradient, and ``score`` was made of it.
    """
    (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2
