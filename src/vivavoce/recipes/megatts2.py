"""How Mega-TTS 2 is trained: as the first, on many references and rows of many sentences (arXiv:2307.07218 §3)."""

from dataclasses import replace
from pathlib import Path

from vivavoce.nn.multi_reference import MultiReferenceConfig
from vivavoce.recipes import megatts
from vivavoce.recipes.megatts import NEEDS, TAKES, MegaRun, trained
from vivavoce.train.recipe import Recipe

RUN = MegaRun(
    part="megatts2", timbre=MultiReferenceConfig(), prosody=replace(MegaRun().prosody, stride=8),
    lengths=replace(megatts.MegaRun().lengths, causal=True, layers=8, heads=8, kv_heads=8), references=8, sentences=15,
)  # fmt: skip
SMALL = replace(
    megatts.SMALL, part="megatts2", timbre=replace(megatts.SMALL.timbre, heads=2),
    prosody=replace(megatts.SMALL.prosody, stride=8), lengths=replace(megatts.SMALL.lengths, causal=True),
    references=2, sentences=2,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """As `megatts.debug`."""
    return megatts.debug(folder, SMALL)


RECIPE = Recipe(part="megatts2", settings=RUN, train=trained, debug=debug, needs=NEEDS, takes=TAKES)
