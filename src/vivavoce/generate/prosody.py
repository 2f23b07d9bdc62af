"""Writing prosody codes: behind a prompt's, or between two prompts (Mega-TTS 2, arXiv:2307.07218 §3.4).

Every prompt is gone on with by the same codes, and each of these is drawn from the mean of what they expect, weighed:
(1 - γ) of one's logits and γ of the other's. At γ = 0 and 1 it is as if the other were not there.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from vivavoce.core.errors import SpecError
from vivavoce.generate.samplers import Sampler
from vivavoce.models.prosody_lm import ProsodyLm, ProsodyPrompt


@torch.inference_mode()
def write_prosody(
    lm: ProsodyLm,
    condition: Float[Tensor, "Q C"],
    prompts: Sequence[ProsodyPrompt],
    weights: Sequence[float],
    sampler: Sampler,
    draw: Callable[[], float],
) -> Int[Tensor, " Q"]:
    """A code per condition; ``weights`` are the shares of the prompts' logits. SpecError unless they add up to 1."""
    if not prompts or len(prompts) != len(weights) or abs(sum(weights) - 1) > 1e-6:
        raise SpecError(f"got {len(prompts)} prompts with the shares {list(weights)}; give each one, 1 in all")
    heard = [(prompt, share) for prompt, share in zip(prompts, weights, strict=True) if share]
    states = [lm.trunk.init_state(1) for _ in heard]
    last = [_read(lm, prompt, state) for (prompt, _), state in zip(heard, states, strict=True)]
    codes: list[int] = []
    for here in condition:
        logits = condition.new_zeros(1, lm.config.size)
        for number, ((_, share), state) in enumerate(zip(heard, states, strict=True)):
            before = torch.tensor([[codes[-1] if codes else last[number]]])
            logits += share * lm.out(lm.trunk.step(lm.entered(before, here[None, None]), state))[:, 0]
        history = torch.tensor([codes[-64:] or [-1]])
        codes.append(int(sampler(logits, torch.tensor([draw()]), history)))
    return torch.tensor(codes, dtype=torch.long)


def _read(lm: ProsodyLm, prompt: ProsodyPrompt, state: object) -> int:
    """Takes a prompt in; gives its last code, which stands before the first that is written."""
    if not len(prompt.codes):
        return lm.config.size
    before = pad(prompt.codes[None], (1, 0), value=lm.config.size)[:, :-1]
    lm.trunk.step(lm.entered(before, prompt.condition[None]), state)  # type: ignore[arg-type]
    return int(prompt.codes[-1])
