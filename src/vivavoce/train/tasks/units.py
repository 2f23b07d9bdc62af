"""Learning units by recognition: a finite scalar quantiser inside a recogniser of phones (CosyVoice, arXiv:2407.05407).

Below stand frames of a listener that are not changed here, and one block of it that is; above the quantiser one more
block and CTC. What reaches the phones has to pass through the ids. A second CTC head reads the quantised vectors
themselves, so that an id tells of its phones without its neighbours.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vivavoce.models.listener import SPLIT, Listener
from vivavoce.nn.finite_scalar import FiniteScalar, FiniteScalarConfig
from vivavoce.nn.quantize import Quantized
from vivavoce.train.task import Losses, Task, Term


class FrameBatch(NamedTuple):
    """Frames below the block that is learnt, and the phones that are said in each row."""

    frames: Float[Tensor, "B U D"]
    lengths: Int[Tensor, " B"]
    phones: Int[Tensor, "B P"]
    n_phones: Int[Tensor, " B"]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecogniserWeights:
    """How much the terms beside CTC at the top count.

    ``local`` is CTC of the quantised vectors, ``teacher`` the distance to what the listener itself makes of the frames.
    """

    local: float = 0.5
    teacher: float = 1.0


class Recognised(NamedTuple):
    """One forward."""

    top: Float[Tensor, "B T V"]
    local: Float[Tensor, "B T V"]
    quantized: Quantized


@final
class UnitsRecogniser(Task[FrameBatch, Recognised]):
    """A listener's last block, a quantiser, a block and heads: all of them begun at the listener's weights."""

    def __init__(
        self, listener: Listener, layer: int, levels: tuple[int, ...], weights: RecogniserWeights | None = None
    ) -> None:
        """``layer`` of the listener is learnt anew, the ones before it give the frames."""
        super().__init__()
        config = listener.config
        self.weights = weights or RecogniserWeights()
        self.layer = layer
        self.below, self.above = (_one_block(listener, layer - 1), _one_block(listener, config.trunk.layers - 1))
        self.quantizer: FiniteScalar = FiniteScalarConfig(dim=config.trunk.dim, levels=levels).build()
        self.top = nn.Linear(config.trunk.dim, SPLIT * config.symbols)
        self.local = nn.Linear(config.trunk.dim, SPLIT * config.symbols)
        for head in (self.top, self.local):
            head.load_state_dict(listener.ctc.state_dict())
        self._heads = (listener.ctc.weight.detach().clone(), listener.ctc.bias.detach().clone())
        self._rest = (nn.ModuleList(_one_block(listener, at) for at in range(layer - 1, config.trunk.layers)),)
        for block in self._rest[0]:
            block.eval().requires_grad_(False)

    def outputs(self, batch: FrameBatch) -> Recognised:
        """Distributions of phones, from the top and from the ids alone."""
        lower, _ = self.below(batch.frames, batch.lengths)
        quantized = self.quantizer(lower.transpose(1, 2))
        values = quantized.values.transpose(1, 2)
        upper, _ = self.above(values, batch.lengths)
        return Recognised(_shares(self.top(upper)), _shares(self.local(values)), quantized)

    def losses(self, phase: str, batch: FrameBatch, out: Recognised) -> Losses:
        """CTC twice, the teacher's distribution, and the share of entries in use as a number."""
        lengths = SPLIT * batch.lengths
        terms = {
            "ctc": Term(_ctc(out.top, lengths, batch)),
            "local": Term(_ctc(out.local, lengths, batch), self.weights.local),
        }
        if self.weights.teacher:
            wanted = self.heard_by_teacher(batch)
            inside = torch.arange(wanted.shape[1], device=wanted.device)[None] < lengths[:, None]
            terms["teacher"] = Term(
                F.kl_div(out.local[inside], wanted[inside], reduction="batchmean", log_target=True),
                self.weights.teacher,
            )
        codes = out.quantized.codes[:, 0][
            torch.arange(batch.frames.shape[1], device=lengths.device)[None] < batch.lengths[:, None]
        ]
        terms["used"] = Term(torch.tensor(len(codes.unique()) / self.quantizer.config.size), 0.0)
        return terms

    @torch.no_grad()
    def heard_by_teacher(self, batch: FrameBatch) -> Float[Tensor, "B T V"]:
        """What the listener's own last blocks and head say."""
        x = batch.frames
        for block in self._rest[0].to(x.device):
            x, _ = block(x, batch.lengths)
        weight, bias = (part.to(x.device) for part in self._heads)
        return _shares(F.linear(x, weight, bias))


def _one_block(listener: Listener, at: int) -> nn.Module:
    """A trunk of one block, with the weights of that block of the listener."""
    made = replace(listener.config.trunk, layers=1).build()
    made.blocks[0].load_state_dict(listener.trunk.blocks[at].state_dict())
    return made


def _shares(scores: Float[Tensor, "B U S"]) -> Float[Tensor, "B T V"]:
    return scores.unflatten(-1, (SPLIT, -1)).flatten(1, 2).float().log_softmax(-1)


def _ctc(shares: Float[Tensor, "B T V"], lengths: Int[Tensor, " B"], batch: FrameBatch) -> Float[Tensor, ""]:
    losses = F.ctc_loss(
        shares.transpose(0, 1), batch.phones, lengths, batch.n_phones, reduction="none", zero_infinity=True
    )
    return losses.sum() / batch.n_phones.sum().clamp(min=1)
