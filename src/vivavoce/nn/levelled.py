"""Fresh layers brought to one size by what they will be given, so that none is far quieter than the next.

As layer-sequential unit-variance initialisation (arXiv:1511.06422) does, without its orthogonal weights. A codec's
fresh convolutions make sound some thousand times quieter on the way in, and what is left is nearly the same for every
frame: neither books nor heads find anything in it to tell frames apart by.
"""

import torch
from torch import Tensor, nn

from vivavoce.nn.centred import CentredConv, CentredConvTranspose
from vivavoce.nn.conv import CausalConv, CausalConvTranspose

_CONVOLUTIONS = (CentredConv, CentredConvTranspose, CausalConv, CausalConvTranspose)
_LEAST = 1e-6


@torch.no_grad()
def level(net: nn.Module, given: Tensor, size: float = 1.0) -> Tensor:
    """Gives every convolution of ``net`` an output of variance 1 on ``given`` and no bias, the last one one of standard
    deviation ``size``; what the net then makes of ``given``.

    Convolutions that are normed afterwards stay as they are.
    """
    found = [one for one in net.modules() if isinstance(one, _CONVOLUTIONS) and not _normed(one)]

    def levelled(conv: nn.Module, _given: object, made: Tensor) -> Tensor:
        assert isinstance(conv, _CONVOLUTIONS)
        if conv.bias is not None:  # in what all frames have in common, what they differ by would drown
            made = made - conv.bias[:, None]
            conv.bias.zero_()
        scale = (size if conv is found[-1] else 1.0) / made.std().clamp(min=_LEAST)
        conv.weight.mul_(scale)
        return made * scale

    hooks = [one.register_forward_hook(levelled) for one in found]
    try:
        return net(given)
    finally:
        for hook in hooks:
            hook.remove()


def _normed(conv: nn.Module) -> bool:
    return isinstance(conv, CentredConv | CentredConvTranspose) and conv.norm is not None
