"""How tokens are counted, so that an entropy coder can write them in fewer bits; measured on recordings not counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

from jaxtyping import Int
from torch import Tensor

from vivavoce.assistant.demo import LINES
from vivavoce.core.config import dump
from vivavoce.core.errors import ManifestError
from vivavoce.core.parts import save_part
from vivavoce.core.streams import Tokens
from vivavoce.data.tokens import TokenCorpus
from vivavoce.generate.entropy_coding import Counts, count
from vivavoce.generate.entropy_lm import FrameLm
from vivavoce.recipes import miniature
from vivavoce.train.recipe import Given, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsRun:
    """Which stream of a corpus is counted, and how many recordings at most are coded to see what it saves."""

    stream: str = "codes"
    measured: int = 100
    seed: int = 1


def bits(coder: Counts | FrameLm, rows: Sequence[Int[Tensor, "K _"]]) -> tuple[float, float]:
    """Per frame: as ids of a fixed length, and as coded."""
    frames = sum(row.shape[1] for row in rows)
    coded = sum(8 * len(coder.encode(row)) for row in rows)
    return coder.config.books * log2(coder.config.size), coded / max(frames, 1)


def saved(coder: Counts | FrameLm, held: Sequence[Int[Tensor, "K _"]], say: Callable[[str], None]) -> dict[str, Any]:
    """For the card: what the coder saves on recordings that it did not learn from; nothing where there are none."""
    if not held:
        return {}
    plain, coded = bits(coder, held)
    say(f"{len(held)} dev recordings: {coded:.2f} bits a frame instead of {plain:.2f}, {1 - coded / plain:.1%} less")
    return {"held_out": {"recordings": len(held), "bits_plain": plain, "bits_coded": round(coded, 3)}}


def opened(corpus: Path, stream: str) -> tuple[TokenCorpus, Tokens]:
    """A corpus to learn from, and the spec of a stream; ManifestError where there is nothing to learn from."""
    tokens = TokenCorpus(corpus)
    if not tokens.of("train"):
        raise ManifestError(f"{corpus} has no training recordings; look at the splits in its utterances.jsonl")
    return tokens, tokens.spec(stream)


def train(run: CountsRun, corpus: Path, out: Path, say: Callable[[str], None] = print) -> Counts:
    """Writes the part ``token-counts`` into ``out``; the card says what was saved on the dev recordings."""
    tokens, spec = opened(corpus, run.stream)

    def rows(split: str, most: int | None = None) -> list[Tensor]:
        return [tokens.items(index)[run.stream] for index in tokens.of(split)[:most]]

    heard = rows("train")
    counts = count(heard, spec.alphabet, spec.size)
    card = {"settings": dump(run), "recordings": len(heard), "tokens": spec.alphabet}
    card |= saved(counts, rows("dev", run.measured), say)
    save_part(out, "token-counts", counts.config, counts, card)
    return counts


def debug(folder: Path) -> dict[str, float]:
    """In seconds: bits a frame of units of recordings that were not counted, as they are and coded."""
    corpus, _ = miniature.unit_corpus(folder, LINES, size=16, splits=("train", "train", "dev"))
    counts = train(CountsRun(stream="units"), corpus, folder)
    tokens = TokenCorpus(corpus)
    plain, coded = bits(counts, [tokens.items(index)["units"] for index in tokens.of("dev")])
    return {"before": plain, "after": coded}


def _run(run: CountsRun, given: Given) -> None:
    train(run, given.others["corpus"], given.out, given.say)


RECIPE = Recipe(
    part="token-counts",
    settings=CountsRun(),
    train=_run,
    debug=debug,
    on_cpu=True,
    needs={"corpus": "a folder that `vivavoce tokens corpus` wrote"},
)
