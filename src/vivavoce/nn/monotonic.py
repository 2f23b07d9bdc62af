"""Monotonic alignment search: the best way to hold tokens one after the other over frames.

Glow-TTS, arXiv:2005.11129 §2.2. Every token gets one frame or more, none is passed over. The loop goes over tokens,
never over frames: for a token, the best path up to every frame is a running maximum over the frames at which it may
have begun.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vivavoce.core.errors import SpecError


@torch.no_grad()
def monotonic_durations(
    scores: Float[Tensor, "B S T"], tokens: Int[Tensor, " B"], frames: Int[Tensor, " B"]
) -> Int[Tensor, "B S"]:
    """Frames of each token on the path with the highest sum of ``scores``; 0 for padding.

    Raises SpecError for a row with fewer frames than tokens, or with none of either.
    """
    short = (frames < tokens) | (tokens < 1)
    if bool(short.any()):
        row = int(short.nonzero()[0])
        raise SpecError(
            f"{int(tokens[row])} tokens cannot be held over {int(frames[row])} frames; leave the recording out"
        )
    rows, size, length = scores.shape
    sums = scores.double().cumsum(2)
    best = sums[:, 0]
    begins = torch.zeros(size, rows, length, dtype=torch.long, device=scores.device)
    never = torch.full((rows, 1), -torch.inf, dtype=torch.double, device=scores.device)
    for token in range(1, size):
        before = torch.cat((never, (best - sums[:, token])[:, :-1]), dim=1)  # of a token that begins at this frame
        gained, begins[token] = before.cummax(1)
        best = sums[:, token] + gained
    found = torch.zeros(rows, size, dtype=torch.long, device=scores.device)
    last = frames - 1
    for token in range(size - 1, -1, -1):
        begin = begins[token].gather(1, last.clamp(min=0)[:, None])[:, 0]
        inside = token < tokens
        found[:, token] = torch.where(inside, last - begin + 1, 0)
        last = torch.where(inside, begin - 1, last)
    return found


def path_of(durations: Int[Tensor, "B S"], length: int) -> Bool[Tensor, "B S T"]:
    """Which token each of ``length`` frames belongs to; none beyond the sum of a row's durations."""
    ends = durations.cumsum(1)[:, :, None]
    frame = torch.arange(length, device=durations.device)
    return (frame < ends) & (frame >= ends - durations[:, :, None])
