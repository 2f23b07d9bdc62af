"""Mel + VQ: the plainest tokens of sound, log-mel frames quantised, and a vocoder that says them.

Front and vocoder are the shipped codec's (Vocos, arXiv:2306.00814), the quantiser is one chain of residual books
without a teacher, or with ``levels`` one implicit book (arXiv:2309.15505). Departs from the two-stage form: the
vocoder learns from the quantised vectors, no mel is drawn in between. Learning: `recipes.melvq`.
"""

from vivavoce.audio.mel import LogMelConfig
from vivavoce.models.back import SpectralBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.quantize import QuantizerConfig, ResidualConfig

_FINE, _COARSE = ConvNeXtConfig(dim=128, depth=2), ConvNeXtConfig(dim=256, depth=2)
_MEL, _VOCODER = LogMelConfig(), ConvNeXtConfig(dim=256, depth=3)


def melvq(
    *,
    mel: LogMelConfig = _MEL,
    stride: int = 4,
    fine: ConvNeXtConfig = _FINE,
    coarse: ConvNeXtConfig = _COARSE,
    vocoder: ConvNeXtConfig = _VOCODER,
    books: int = 4,
    size: int = 1024,
    code_dim: int = 64,
    levels: tuple[int, ...] = (),
) -> CodecConfig:
    """The codec; ``stride`` mel frames are one frame of tokens. ``levels`` replaces the books."""
    dim = coarse.dim
    quantizer: QuantizerConfig = ResidualConfig(dim=dim, code_dim=code_dim, books=books, size=size)
    if levels:
        quantizer = FiniteScalarConfig(dim=dim, levels=levels)
    return CodecConfig(
        front=MelFrontConfig(mel=mel, stride=stride, fine=fine, coarse=coarse),
        quantizer=quantizer,
        back=SpectralBackConfig(
            dim=dim, stride=stride, coarse=coarse, fine=vocoder, window=mel.window, frame=mel.hop
        ),
    )  # fmt: skip
