"""How NaturalSpeech 2 is trained: from recordings with texts, whose phones an earlier listener finds.

A random stretch of an utterance, from one phone's beginning to another's end, is cut out as the prompt; the rest is
learnt (speech prompting, arXiv:2304.09116 §3.3).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.core.config import dump
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.data.manifest import recordings
from vivavoce.data.timed import TimedCorpus, TimedUtterance
from vivavoce.data.tokens import Batches
from vivavoce.models.codec import Codec
from vivavoce.models.latents import Books, books_of
from vivavoce.models.predictors import PromptedPredictorConfig
from vivavoce.nn.query_tokens import QueryTokensConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.nn.wavenet import WaveNetConfig
from vivavoce.recipes import miniature
from vivavoce.systems.naturalspeech2 import Naturalspeech2Config
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.naturalspeech2 import CutBatch, Naturalspeech2Task, Naturalspeech2Weights

TRUNK = TransformerConfig(dim=512, layers=6, heads=8, kv_heads=8, hidden=1408, window=3000, causal=False, dropout=0.2)
_MEASURED = 64
"""Utterances that mean and spread of the vectors are taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naturalspeech2Run:
    """Numbers of a run, on the first ``books`` of a codec (0: all of them), whose width the denoiser takes over.

    A prompt is at least ``least_prompt`` and at most ``most_prompt`` of the phones of an utterance.
    """

    text: TransformerConfig = TRUNK
    prompt: TransformerConfig = TRUNK
    durations: PromptedPredictorConfig = PromptedPredictorConfig(inputs=512, memory=512)
    pitch: PromptedPredictorConfig = PromptedPredictorConfig(inputs=512, memory=512, kernel=5)
    tokens: QueryTokensConfig = QueryTokensConfig()
    denoiser: WaveNetConfig = WaveNetConfig(channels=256, frames=512, memory=512)
    books: int = 0
    weights: Naturalspeech2Weights = Naturalspeech2Weights()
    least_prompt: float = 0.2
    most_prompt: float = 0.5
    sampling_steps: int = 150
    steps: int = 100000
    seconds: float = 120.0
    lr: float = 5e-4
    warmup: int = 1000
    ema: float = 0.999
    seed: int = 1


def cut(one: TimedUtterance, first: int, last: int) -> tuple[TimedUtterance, Int[Tensor, "K M"]]:
    """An utterance without the phones from ``first`` up to ``last``, and the codes of these."""
    ends = one.frames.cumsum(0)
    begin, end = int(ends[first] - one.frames[first]), int(ends[last - 1])

    def rest(values: Tensor, a: int, b: int) -> Tensor:
        return torch.cat((values[..., :a], values[..., b:]), dim=-1)

    left = replace(
        one, phones=rest(one.phones, first, last), frames=rest(one.frames, first, last),
        pitch=rest(one.pitch, begin, end), codes=rest(one.codes, begin, end),
    )  # fmt: skip
    return left, one.codes[:, begin:end]


def drawn(one: TimedUtterance, run: Naturalspeech2Run, draw: np.random.Generator) -> tuple[int, int]:
    """The phones of a prompt: a random stretch that has frames, and leaves some."""
    count, total = len(one.phones), int(one.frames.sum())
    for _ in range(20):
        size = max(1, round(count * float(draw.uniform(run.least_prompt, run.most_prompt))))
        first = int(draw.integers(0, max(1, count - size)))
        if 0 < int(one.frames[first : first + size].sum()) < total:
            return first, first + size
    longest = int(one.frames.argmax())
    return longest, longest + 1


def collate(pairs: Sequence[tuple[TimedUtterance, Int[Tensor, "K _"]]], seconds: float = 0.0) -> CutBatch:
    """Utterances and their prompts as a batch."""
    ones, prompts = [one for one, _ in pairs], [prompt for _, prompt in pairs]

    def padded(codes: Sequence[Int[Tensor, "K _"]]) -> Int[Tensor, "B K T"]:
        most = max(one.shape[1] for one in codes)
        return torch.stack([pad(one, (0, most - one.shape[1])) for one in codes])

    return CutBatch(
        pad_sequence([one.phones for one in ones], batch_first=True),
        torch.tensor([len(one.phones) for one in ones]),
        pad_sequence([one.frames for one in ones], batch_first=True),
        pad_sequence([one.pitch for one in ones], batch_first=True),
        padded([one.codes for one in ones]),
        torch.tensor([one.codes.shape[1] for one in ones]),
        padded(prompts),
        torch.tensor([prompt.shape[1] for prompt in prompts]),
        seconds,
    )


def measured(books: Books, corpus: TimedCorpus) -> tuple[Float[Tensor, " D"], Float[Tensor, ""]]:
    """Mean of each number of the vectors, and the deviation of all of them."""
    codes = torch.cat([corpus[index].codes for index in range(min(_MEASURED, len(corpus)))], dim=1)
    vectors = books.vectors(codes[None])[0]
    mean = vectors.mean(1)
    return mean, (vectors - mean[:, None]).std()


def timed_corpus(
    speech: Path, codec: Path, folder: Path, books: int, listener: Path | None, say: Callable[[str], None]
) -> tuple[TimedCorpus, Codec]:
    """The recordings of a folder with a codec's codes."""
    part: Codec = load_part(codec, "codec")
    count = part.counted(books or part.config.books)

    def encode(wave: Float[Tensor, " N"]) -> tuple[Int[Tensor, "K T"], Float[Tensor, " D"]]:
        return part.encode(sound(wave, part.config.sample_rate), count).data[0], torch.zeros(0)

    rates: tuple[int, Fraction] = (part.config.sample_rate, part.config.rate)
    made_by = f"{part.tokens.first(count)} {listener or 'bundled'}"
    hearing = load_part(listener or BUNDLED, "listener")
    corpus = TimedCorpus.of(recordings(speech, "train"), folder, hearing, made_by, rates, count, encode, say)
    return corpus, part


def train(
    run: Naturalspeech2Run,
    speech: Path,
    codec: Path,
    out: Path,
    *,
    start: Path | None = None,
    listener: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the parts ``naturalspeech2`` and ``codec`` into ``out``."""
    corpus, part = timed_corpus(speech, codec, (cache or out) / "timed", run.books, listener, say)
    codes = part.tokens.first(part.counted(run.books or part.config.books))
    books = books_of(part, codes.books)
    config = Naturalspeech2Config(
        phones=PhoneTokenizer().tokens, codes=codes, dim=books.tables.shape[2], text=run.text, prompt=run.prompt,
        durations=run.durations, pitch=run.pitch, tokens=run.tokens,
        denoiser=replace(run.denoiser, channels=books.tables.shape[2]), steps=run.sampling_steps,
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    model.mean, model.spread = measured(books, corpus)
    if start is not None:
        begin_from(model, load_part(start, "naturalspeech2"))
    task = Naturalspeech2Task(model, books, run.weights)

    def make(indices: list[int], draw: np.random.Generator) -> CutBatch:
        ones = [corpus[index] for index in indices]
        seconds = sum(corpus.utterances[index].seconds for index in indices)
        return collate([cut(one, *drawn(one, run, draw)) for one in ones], seconds)

    done = fit(
        task, Batches(corpus, range(len(corpus)), make, seconds=run.seconds, seed=run.seed, buckets=corpus.buckets),
        torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01), steps=run.steps,
        hooks=hooks(out, "naturalspeech2", config), schedule=warm_cosine(run.steps, run.warmup), seed=run.seed,
        ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict({key.removeprefix("model."): v.cpu() for key, v in done.model.state_dict().items()})
    card = {"recipe": "vivavoce.recipes.naturalspeech2", "settings": dump(run)}
    save_part(out, "naturalspeech2", config, model, card, torch.float16, exact=("mean", "spread"))
    copy_part(codec, "codec", out)
    return done


# ---- the whole recipe, small ----

SAID = (LINES[0], LINES[3])
"""Recordings that the miniature learns by heart, and what is said in them."""
_SMALL = TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=400, causal=False)
_PREDICTOR = PromptedPredictorConfig(inputs=64, memory=64, width=64, layers=2, heads=4, dropout=0.0)
SMALL = Naturalspeech2Run(
    text=_SMALL, prompt=_SMALL, durations=_PREDICTOR, pitch=_PREDICTOR,
    tokens=QueryTokensConfig(tokens=4, dim=64, memory=64, heads=4),
    denoiser=WaveNetConfig(channels=256, frames=64, memory=64, width=64, layers=3, heads=4),
    books=2, sampling_steps=8, steps=60, seconds=30.0, lr=3e-3, warmup=10, ema=0.0,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Some seconds on a CPU: two recordings are learnt by heart; the distance to what is clean before and after."""
    speech = miniature.recordings(folder / "speech", SAID, copies=2)
    found = train(SMALL, speech, BUNDLED, folder / "run", say=lambda line: None).losses
    before = json.loads((folder / "run" / LOSSES).read_text().splitlines()[0])["clean"]
    return {"before": before, "after": found["clean"], **found}


def _run(run: Naturalspeech2Run, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run, given.speech, others["codec"], given.out, start=given.start, listener=others.get("listener"),
        cache=others.get("cache"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="naturalspeech2",
    settings=Naturalspeech2Run(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings with texts", "codec": "a codec in whose vectors speech is made"},
    takes={
        "from": "a NaturalSpeech 2 to go on from",
        "listener": "a folder with the listener that finds the phones; the bundled one if left out",
        "cache": "where timed recordings are kept",
    },
)
