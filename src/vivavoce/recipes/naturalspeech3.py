"""How NaturalSpeech 3 is trained, on the codes of a FACodec: from recordings with texts, whose phones a listener finds.

The beginning of an utterance, up to the end of a phone, is its prompt; now and then there is none, so that guidance
knows what is said without one (arXiv:2403.03100 §4.2).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from vivavoce.assistant.demo import LINES
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.data.manifest import recordings
from vivavoce.data.timed import TimedCorpus
from vivavoce.data.tokens import Batches
from vivavoce.models.factors import FactorsConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.systems.facodec import Facodec, FacodecConfig
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.naturalspeech3 import Naturalspeech3Task, PrefixedBatch

TEXT = TransformerConfig(dim=512, layers=6, heads=8, kv_heads=8, hidden=1408, window=3000, causal=False, dropout=0.1)
TRUNK = TransformerConfig(
    dim=1024, layers=12, heads=8, kv_heads=8, hidden=2048, window=3000, causal=False, dropout=0.1, condition=512
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Naturalspeech3Run:
    """Numbers of a run; prompts are up to ``most_prompt`` of the phones, and none in ``no_prompt`` of the cases."""

    text: TransformerConfig = TEXT
    trunk: TransformerConfig = TRUNK
    longest: int = 255
    most_prompt: float = 0.5
    no_prompt: float = 0.15
    steps: int = 100000
    seconds: float = 120.0
    lr: float = 1e-4
    warmup: int = 1000
    ema: float = 0.999
    seed: int = 1


def timed_corpus(
    speech: Path, codec: Path, folder: Path, listener: Path | None, say: Callable[[str], None]
) -> tuple[TimedCorpus, Facodec]:
    """The recordings of a folder with a FACodec's codes; SpecError for another codec."""
    part = load_part(codec, "codec")
    if not isinstance(part, Facodec):
        raise SpecError(f"the codec in {codec} does not tell prosody and content apart; train one: train facodec")

    def encode(wave: Float[Tensor, " N"]) -> tuple[Int[Tensor, "K T"], Float[Tensor, " D"]]:
        found = part.encode(sound(wave, part.config.sample_rate))
        return found.codes.data[0], found.voice[0]

    rates, made_by = (part.config.sample_rate, part.config.rate), f"{part.tokens} {listener or 'bundled'}"
    hearing = load_part(listener or BUNDLED, "listener")
    return TimedCorpus.of(
        recordings(speech, "train"), folder, hearing, made_by, rates, part.tokens.books, encode, say
    ), part


def train(
    run: Naturalspeech3Run,
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
    """Writes the parts ``naturalspeech3`` and ``codec`` into ``out``."""
    corpus, part = timed_corpus(speech, codec, (cache or out) / "timed", listener, say)
    config = FactorsConfig(
        phones=PhoneTokenizer().tokens, codes=part.tokens, books=part.config.books, text=run.text, trunk=run.trunk,
        longest=run.longest,
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "naturalspeech3"))

    def make(indices: list[int], draw: np.random.Generator) -> PrefixedBatch:
        ones = [corpus[index] for index in indices]
        most = max(one.codes.shape[1] for one in ones)
        prompts = [int(draw.integers(1, max(2, int(run.most_prompt * len(one.phones)) + 1))) for one in ones]
        given = draw.random(len(ones)) >= run.no_prompt
        return PrefixedBatch(
            pad_sequence([one.phones for one in ones], batch_first=True),
            torch.tensor([len(one.phones) for one in ones]),
            pad_sequence([one.frames for one in ones], batch_first=True),
            torch.stack([pad(one.codes, (0, most - one.codes.shape[1])) for one in ones]),
            torch.tensor([one.codes.shape[1] for one in ones]),
            torch.tensor(prompts) * torch.from_numpy(given),
            sum(corpus.utterances[index].seconds for index in indices),
        )

    task = Naturalspeech3Task(model)
    done = fit(
        task, Batches(corpus, range(len(corpus)), make, seconds=run.seconds, seed=run.seed, buckets=corpus.buckets),
        torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.95), weight_decay=0.01), steps=run.steps,
        hooks=hooks(out, "naturalspeech3", config), schedule=warm_cosine(run.steps, run.warmup), seed=run.seed,
        ema=run.ema, device=device, bf16=device != "cpu",
    )  # fmt: skip
    model.load_state_dict({key.removeprefix("model."): v.cpu() for key, v in done.model.state_dict().items()})
    card = {"recipe": "vivavoce.recipes.naturalspeech3", "settings": dump(run)}
    save_part(out, "naturalspeech3", config, model, card, torch.float16)
    copy_part(codec, "codec", out)
    return done


# ---- the whole recipe, small ----

SAID = (LINES[0], LINES[3])
"""Recordings that the miniature learns from, and what is said in them."""
_TEXT = TransformerConfig(dim=48, layers=1, heads=4, kv_heads=4, hidden=96, window=400, causal=False)
_TRUNK = TransformerConfig(dim=64, layers=2, heads=4, kv_heads=4, hidden=128, window=400, causal=False, condition=32)
SMALL = Naturalspeech3Run(text=_TEXT, trunk=_TRUNK, steps=80, seconds=30.0, lr=4e-3, warmup=10, ema=0.0, longest=31)
_NET = SeanetConfig(
    dim=16, channels=2, strides=(4, 4, 5, 5), residuals=1, compress=1, activation="snake", causal=False, trim="both",
    last_kernel=7,
)  # fmt: skip
_VOICE = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=400, causal=False)
CODEC = FacodecConfig(net=_NET, timbre=_VOICE, size=16, code_dim=4, phones=40)
"""A codec for the miniature."""


def untrained_codec() -> Facodec:
    """A codec with random weights whose codes follow the sound: without biases, which would drown it."""
    torch.manual_seed(2)
    codec = CODEC.build().eval()
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.endswith("bias") and name.startswith(("front.", "prosody.", "content.", "detail.")):
                parameter.zero_()
    return codec


def debug(folder: Path) -> dict[str, float]:
    """Some seconds on a CPU: two recordings are learnt by heart; the loss of prosody before and after."""
    save_part(folder / "codec", "codec", CODEC, untrained_codec())
    speech = miniature.recordings(folder / "speech", SAID, copies=2)
    found = train(SMALL, speech, folder / "codec", folder / "run", say=lambda line: None).losses
    before = json.loads((folder / "run" / LOSSES).read_text().splitlines()[0])["prosody"]
    return {"before": before, "after": found["prosody"], **found}


def _run(run: Naturalspeech3Run, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run, given.speech, others["codec"], given.out, start=given.start, listener=others.get("listener"),
        cache=others.get("cache"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="naturalspeech3",
    settings=Naturalspeech3Run(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings with texts", "codec": "a FACodec (`train facodec`)"},
    takes={
        "from": "a NaturalSpeech 3 to go on from",
        "listener": "a folder with the listener that finds the phones; the bundled one if left out",
        "cache": "where timed recordings are kept",
    },
)
