"""Mimi (arXiv:2410.00037 §3.3): 12.5 frames a second of a semantic book beside acoustic ones, stepped in 80 ms.

SEANet without a memory, a transformer of ten seconds' view on each side, and a last stride of two. The first book is
taught by features of speech (`train.tasks.codec`), half of the training examples are not quantised, and what counts at
the end are the judges alone. Learning: `recipes.mimi`.
"""

from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig, SplitConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig

_NET = SeanetConfig(dim=512, channels=64, strides=(4, 5, 6, 8), last_kernel=3)
_TRUNK = TransformerConfig(
    dim=512, layers=8, heads=8, kv_heads=8, hidden=2048, window=250, norm="layer", gated=False, scaled=0.01,
    last_norm=False,
)  # fmt: skip


def mimi(
    *,
    net: SeanetConfig = _NET,
    trunk: TransformerConfig = _TRUNK,
    semantic: int = 1,
    books: int = 32,
    size: int = 2048,
    code_dim: int = 256,
    unquantised: float = 0.5,
    teacher_dim: int = 0,
    dead_below: float = 0.1,
    sample_rate: int = 24000,
) -> CodecConfig:
    """The codec; ``books`` in all, ``semantic`` of them apart from the residual chain."""

    def half(count: int, fewer: float) -> ResidualConfig:
        return ResidualConfig(
            dim=net.dim, code_dim=code_dim, bias=False, books=count, size=size, fewer_books=fewer,
            unquantised=unquantised, dead_below=dead_below,
        )  # fmt: skip

    return CodecConfig(
        front=SeanetFrontConfig(net=net, sample_rate=sample_rate, trunk=trunk, stride=2),
        quantizer=SplitConfig(semantic=half(semantic, 0.0), acoustic=half(books - semantic, 1.0)),
        back=SeanetBackConfig(net=net, trunk=trunk, stride=2),
        teacher_dim=teacher_dim,
    )
