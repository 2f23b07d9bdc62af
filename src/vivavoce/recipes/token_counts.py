"""How tokens are counted, so that an entropy coder can write them in fewer bits; measured on recordings not counted."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log2
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
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


@dataclass(frozen=True, slots=True)
class Unigram:
    """How often each id of each book comes in what was learnt from: what any coder of tokens has to be better than."""

    counts: Float[Tensor, "K V"]

    @staticmethod
    def of(rows: Iterable[Int[Tensor, "K _"]], books: int, size: int) -> "Unigram":
        """Counted."""
        counts = torch.zeros(books, size, dtype=torch.double)
        for row in rows:
            counts.scatter_add_(1, row.long(), torch.ones_like(row, dtype=torch.double))
        return Unigram(counts)

    @property
    def use(self) -> list[float]:
        """The perplexity of each book, as a share of its size."""
        shares = self.counts / self.counts.sum(1, keepdim=True)
        return (torch.special.entr(shares).sum(1).exp() / self.counts.shape[1]).tolist()

    def bits(self, rows: Sequence[Int[Tensor, "K _"]]) -> float:
        """Per frame of other rows; what never came counts as half a time."""
        shares = (self.counts + 0.5) / (self.counts + 0.5).sum(1, keepdim=True)
        told = torch.cat([shares.log2().gather(1, row.long()) for row in rows], dim=1)
        return -float(told.sum(0).mean())


def saved(
    coder: Counts | FrameLm, held: Sequence[Int[Tensor, "K _"]], unigram: Unigram, say: Callable[[str], None]
) -> dict[str, Any]:
    """For the card: what the coder saves on recordings that it did not learn from; nothing where there are none."""
    if not held:
        return {}
    plain, coded = bits(coder, held)
    single, use = unigram.bits(held), unigram.use
    say(
        f"{len(held)} dev recordings: {coded:.2f} bits a frame, {1 - coded / plain:.1%} less than the {plain:.2f} of "
        f"plain ids, {1 - coded / single:.1%} less than the {single:.2f} of each id by itself; the perplexity of the "
        f"books is {min(use):.0%} to {max(use):.0%} of their size"
    )
    found = {
        "recordings": len(held),
        "bits_plain": plain,
        "bits_unigram": round(single, 3),
        "bits_coded": round(coded, 3),
    }
    return {"held_out": found, "use": [round(share, 3) for share in use]}


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
    card |= saved(counts, rows("dev", run.measured), Unigram.of(heard, spec.books, spec.size), say)
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
