"""SoundStream (arXiv:2107.03312): a causal codec of strided convolutions whose bitrate is the number of books in use.

Three dilated units per stage, no memory, no norms; every training example sees the first n books, n uniform, so that
one model serves all bitrates. Learnt with judges of spectra and of waves (`train.tasks.codec_adversarial`), α-weighted
mel distances, books begun by k-means on the first batch, entries that fall out of use moved. Departs: no denoising.
"""

from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.seanet import SeanetConfig


def soundstream(
    *,
    channels: int = 32,
    dim: int = 512,
    strides: tuple[int, ...] = (2, 4, 5, 8),
    books: int = 8,
    size: int = 1024,
    dead_below: float = 2.0,
    sample_rate: int = 24000,
) -> CodecConfig:
    """The codec; 8 books are 6 kbit/s at 24 kHz."""

    def net(last_kernel: int) -> SeanetConfig:
        return SeanetConfig(
            dim=dim, channels=channels, strides=strides, last_kernel=last_kernel, residual_kernel=7, residuals=3,
            dilation_base=3, compress=1,
        )  # fmt: skip

    return CodecConfig(
        front=SeanetFrontConfig(net=net(3), sample_rate=sample_rate),
        quantizer=ResidualConfig(dim=dim, code_dim=0, books=books, size=size, fewer_books=1.0, dead_below=dead_below),
        back=SeanetBackConfig(net=net(7)),
    )
