"""Durations as sums of sigmoids, and an alignment through which a gradient reaches them.

StyleTTS 2, arXiv:2306.07691 §3.2.4. ``presence[i, k]`` is how sure it is that token i is still there in its k-th frame;
its duration is the sum.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_LEAST = 1e-6


def soft_path(presence: Float[Tensor, "B S K"], length: int, deviation: float = 1.5) -> Float[Tensor, "B S T"]:
    """Which share of each of ``length`` frames is which token's: boxes of presence, blurred by a Gaussian.

    Tokens stand one after the other, each where the durations before it end. Departs from the paper: shares are divided
    by their sum in place of a softmax, which leaves most of a frame to tokens that are nowhere near it; so the path
    becomes that of `nn.monotonic.path_of` as ``deviation`` goes to 0. Frames after the last token are 0.
    """
    held = presence.sum(2)
    begins = held.cumsum(1) - held
    places = begins[:, :, None] + torch.arange(presence.shape[2], device=presence.device)
    away = torch.arange(length, device=presence.device) - places[..., None]
    found = (presence[..., None] * torch.exp(-0.5 * (away / deviation).square())).sum(2)
    return found / found.sum(1, keepdim=True).clamp(min=_LEAST)
