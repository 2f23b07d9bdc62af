"""Causal convolutions that stream: output frame t sees input up to the end of frame t, never after it.

A strided layer turns ``stride`` input frames into one, a transposed one turns one into ``stride``; both want whole
frames (SpecError otherwise). Before the first frame there are zeros, so that a fresh state is all zeros.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import conv1d, conv_transpose1d, pad

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streaming import State, Timing, zeros
from vivavoce.nn.few import Halved

_FEW = 8
"""Frames; for so few, setting a convolution up takes longer than the multiplications: PyTorch brings its matrix into
another order first."""
_FEW_STRIDED = 96
"""The same of one with a stride, which has a large matrix for what it makes."""
_FEW_SPREAD = 64
"""The same of a transposed one, where it takes up to a hundred times as long."""


_COARSE = 4
"""A stride."""


def _misjudged(x: Tensor, stride: int, groups: int, channels: int) -> bool:
    """Whether oneDNN's bfloat16 cannot be trusted with a convolution (PyTorch 2.13 on a processor with AMX).

    With 8 to 24 channels and strides of 4 and more, or with several channels in each of several groups, what it makes
    has nothing to do with the input; transposed, so has the gradient. Other sizes were right (1,400 tried).
    """
    return x.device.type == "cpu" and (stride >= _COARSE or 1 < groups < channels)


def convolve(
    x: Float[Tensor, "B C T"], weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0,
    dilation: int = 1, groups: int = 1,
) -> Float[Tensor, "B D U"]:  # fmt: skip
    """`torch.nn.functional.conv1d`, in single precision where half of it would be wrong."""
    if not _misjudged(x, stride, groups, x.shape[1]):
        return conv1d(x, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        return conv1d(x.to(weight.dtype), weight, bias, stride, padding, dilation, groups)


def convolve_transposed(
    x: Float[Tensor, "B C T"], weight: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0,
    output_padding: int = 0, groups: int = 1,
) -> Float[Tensor, "B D U"]:  # fmt: skip
    """`torch.nn.functional.conv_transpose1d`, in single precision where half of it would be wrong."""
    if not _misjudged(x, stride, groups, x.shape[1]):
        return conv_transpose1d(x, weight, bias, stride, padding, output_padding, groups)
    with torch.autocast("cpu", enabled=False):
        return conv_transpose1d(x.to(weight.dtype), weight, bias, stride, padding, output_padding, groups)


@final
class PreciseConv(nn.Conv1d):
    """`torch.nn.Conv1d` by `convolve`; zeros stand beyond the edges."""

    def forward(self, input: Float[Tensor, "B C T"]) -> Float[Tensor, "B D U"]:
        """The same as `nn.Conv1d`."""
        (stride,), (dilation,), padding = self.stride, self.dilation, self.padding
        assert not isinstance(padding, str)
        return convolve(input, self.weight, self.bias, stride, padding[0], dilation, self.groups)


@final
class PreciseConvTranspose(nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` by `convolve_transposed`."""

    def forward(self, input: Float[Tensor, "B C T"], output_size: list[int] | None = None) -> Float[Tensor, "B D U"]:
        """The same as `nn.ConvTranspose1d`, whose ``output_size`` is not taken."""
        if output_size is not None:
            raise ConfigError("a transposed convolution's length follows from its numbers; leave output_size out")
        (stride,), (more,), padding = self.stride, self.output_padding, self.padding
        assert not isinstance(padding, str)
        return convolve_transposed(input, self.weight, self.bias, stride, padding[0], more, self.groups)


@dataclass
class ConvState(State):
    """Input frames that the next output still sees; for a transposed layer, output that is not complete yet."""

    past: Float[Tensor, "B D P"]


def settle(leaf: Tensor, new: Tensor, active: Bool[Tensor, " B"] | None) -> None:
    """Writes a leaf of a state in place, leaving the rows that are not active as they were."""
    if active is None:
        leaf.copy_(new)
    else:
        leaf.copy_(torch.where(active.view(-1, *[1] * (leaf.dim() - 1)), new, leaf))


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvConfig:
    """One causal convolution."""

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    bias: bool = True

    @property
    def past(self) -> int:
        """Input frames before its own that an output frame sees."""
        return (self.kernel - 1) * self.dilation + 1 - self.stride

    def build(self) -> "CausalConv":
        """The module."""
        if self.past < 0:
            raise ConfigError(
                f"a kernel of {self.kernel} skips input at stride {self.stride}; make it at least as long"
            )
        return CausalConv(self)

    def transposed(self) -> "CausalConvTranspose":
        """The mirrored module, which makes ``stride`` frames out of one."""
        if self.kernel < self.stride or self.dilation != 1:
            raise ConfigError(f"a transposed kernel wants kernel >= stride and no dilation, got {self}")
        return CausalConvTranspose(self)


def convolved(
    joined: Float[Tensor, "B D T"], config: ConvConfig, weight: Tensor, bias: Tensor | None, halved: Halved
) -> Float[Tensor, "B O S"]:
    """The convolution itself, without edges: by products where there are few frames."""
    made = (joined.shape[2] - (config.kernel - 1) * config.dilation - 1) // config.stride + 1
    few = _FEW_STRIDED if config.stride > 1 and config.groups == 1 else _FEW
    if made > few or config.dilation > 1 or config.groups not in (1, config.inputs):
        return convolve(joined, weight, bias, config.stride, 0, config.dilation, config.groups)
    windows = joined.unfold(2, config.kernel, config.stride)
    if config.groups == 1:
        return halved.linear(windows.transpose(1, 2).flatten(2), weight, bias).transpose(1, 2)
    if config.outputs > config.inputs:
        windows = windows.repeat_interleave(config.outputs // config.inputs, dim=1)
    made = (windows @ weight.transpose(1, 2))[..., 0]
    return made if bias is None else made + bias[:, None]


@final
class CausalConv(nn.Module):
    """Convolution padded on the left only."""

    def __init__(self, config: ConvConfig) -> None:
        """Weights as in ``torch.nn.Conv1d``."""
        super().__init__()
        self.config = config
        made = nn.Conv1d(config.inputs, config.outputs, config.kernel, groups=config.groups, bias=config.bias)
        self.weight, self.bias = made.weight, made.bias
        self._halved = Halved()

    @property
    def timing(self) -> Timing:
        """``stride`` frames in, one out."""
        return Timing(rate=Fraction(1), hop=self.config.stride)

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        """All frames at once; T must be a multiple of the stride."""
        self._whole(x)
        return self._conv(pad(x, (self.config.past, 0)))

    def init_state(self, rows: int) -> ConvState:
        """Zeros before the first frame."""
        return ConvState(zeros(rows, self.config.inputs, self.config.past, like=self.weight))

    def step(
        self, x: Float[Tensor, "B D T"], state: ConvState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B O S"]:
        """The frames that end within these inputs."""
        self._whole(x)
        joined = torch.cat((state.past, x), dim=2)
        settle(state.past, joined[:, :, joined.shape[2] - self.config.past :], active)
        if x.shape[2] == 0:
            return x.new_zeros(len(x), self.config.outputs, 0)
        return self._conv(joined)

    def _conv(self, joined: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        return convolved(joined, self.config, self.weight, self.bias, self._halved)

    def _whole(self, x: Float[Tensor, "B D T"]) -> None:
        if x.shape[2] % self.config.stride:
            raise SpecError(f"got {x.shape[2]} frames, wanted a multiple of {self.config.stride}; pad with zeros")


@final
class CausalConvTranspose(nn.Module):
    """Transposed convolution whose tail is added to the frames that follow."""

    def __init__(self, config: ConvConfig) -> None:
        """Weights as in ``torch.nn.ConvTranspose1d``."""
        super().__init__()
        self.config = config
        made = nn.ConvTranspose1d(
            config.inputs, config.outputs, config.kernel, config.stride, groups=config.groups, bias=config.bias
        )
        self.weight, self.bias = made.weight, made.bias

    @property
    def timing(self) -> Timing:
        """One frame in, ``stride`` out."""
        return Timing(rate=Fraction(1))

    def forward(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        """All frames at once: ``T * stride`` frames."""
        return self._shifted(self._spread(x)[:, :, : x.shape[2] * self.config.stride])

    def init_state(self, rows: int) -> ConvState:
        """Nothing begun."""
        return ConvState(zeros(rows, self.config.outputs, self.config.kernel - self.config.stride, like=self.weight))

    def step(
        self, x: Float[Tensor, "B D T"], state: ConvState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B O S"]:
        """The frames to which nothing will be added any more."""
        if x.shape[2] == 0:
            return x.new_zeros(len(x), self.config.outputs, 0)
        made, tail = self._spread(x), state.past.shape[2]
        made[:, :, :tail] += state.past
        ready = x.shape[2] * self.config.stride
        settle(state.past, made[:, :, ready:], active)
        return self._shifted(made[:, :, :ready])

    def _shifted(self, x: Float[Tensor, "B O S"]) -> Float[Tensor, "B O S"]:
        return x if self.bias is None else x + self.bias[:, None]

    def _spread(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B O S"]:
        if x.shape[2] == 0:
            return x.new_zeros(len(x), self.config.outputs, self.config.kernel - self.config.stride)
        config, frames = self.config, x.shape[2]
        each = config.groups == config.inputs == config.outputs
        if frames > _FEW_SPREAD or config.kernel % config.stride or not (config.groups == 1 or each):
            return convolve_transposed(x, self.weight, None, config.stride, groups=config.groups)
        pieces = config.kernel // config.stride  # each frame reaches over so many
        if each:
            made = x[..., None] * self.weight
        else:
            made = (x.transpose(1, 2) @ self.weight.flatten(1)).unflatten(2, (config.outputs, -1)).transpose(1, 2)
        made = made.unflatten(3, (pieces, config.stride))
        laid = x.new_zeros(len(x), config.outputs, frames + pieces - 1, config.stride)
        for piece in range(pieces):
            laid[:, :, piece : piece + frames] += made[:, :, :, piece]
        return laid.flatten(2)
