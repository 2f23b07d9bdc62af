"""How mel + VQ is trained: as the codec's first stage, with nobody who teaches the first book.

``--set finite=true`` takes finite scalar quantisation in place of residual books.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from vivavoce.audio.mel import LogMelConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.recipes import codec
from vivavoce.recipes.codec import SMALL, CodecRun
from vivavoce.recipes.codec_data import CropConfig
from vivavoce.systems.melvq import melvq
from vivavoce.train.recipe import Given, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class MelVqRun(CodecRun):
    """Numbers of a run; with ``finite`` the quantiser has ``levels``."""

    codec: CodecConfig = melvq()
    crops: CropConfig = CropConfig()
    finite: bool = False
    levels: tuple[int, ...] = (8, 8, 8, 5, 5)

    @property
    def chosen(self) -> CodecConfig:
        """The codec."""
        scalar = FiniteScalarConfig(dim=self.codec.front.dim, levels=self.levels)
        return replace(self.codec, quantizer=scalar) if self.finite else self.codec


def debug(folder: Path) -> dict[str, float]:
    """In seconds, with finite scalars: the first and the last mel distance."""
    thin = ConvNeXtConfig(dim=32, depth=1)
    small = melvq(mel=LogMelConfig(bins=40), fine=thin, coarse=thin, vocoder=thin, levels=(5, 5, 5))
    return codec.debug(folder, replace(SMALL, codec=small))


def _run(run: MelVqRun, given: Given) -> None:
    assert given.speech is not None
    chosen = replace(run, codec=run.chosen)
    codec.train(chosen, given.speech, given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="codec",
    settings=MelVqRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more"},
    takes={"from": "a codec to go on from"},
)
