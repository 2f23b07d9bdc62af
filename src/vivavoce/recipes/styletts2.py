"""How StyleTTS 2 is trained: a reader of phones, then sound with an aligner, then everything together.

The speech encoder whose features judge is the bundled listener, or any encoder (``--with encoder=hf:OWNER/NAME`` or a
folder: WavLM, HuBERT).
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from vivavoce.core.config import dump
from vivavoce.core.errors import TextError, TrainingError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.sentences import sentences
from vivavoce.hub.encoders import open_encoder
from vivavoce.losses.spectral import MultiSpectralConfig
from vivavoce.models.speech_features import SpeechFeatures
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.styletts import SMALL_STYLE
from vivavoce.recipes.styletts_data import StyleBatches
from vivavoce.recipes.vocoder import SMALL_MEL
from vivavoce.systems.styletts2 import Styletts2Config, Styletts2Model
from vivavoce.text.normalise import normalise
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.styletts2 import PhonesRead, Styletts2Joint, Styletts2Sound, Styletts2Weights

_USUAL = 16
"""Batches whose mean styles are the usual ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Styletts2Run:
    """Numbers of a run: steps of the reader, of sound, and of everything together.

    The reader learns with ``reader_share`` of the learning rate in the last stage.
    """

    model: Styletts2Config = Styletts2Config(phones=PhoneTokenizer().tokens)
    judges: DiscriminatorConfig = DiscriminatorConfig(periods=(2, 3, 5, 7, 11))
    spectra: MultiSpectralConfig = MultiSpectralConfig()
    weights: Styletts2Weights = Styletts2Weights()
    reader_steps: int = 20_000
    steps: int = 100_000
    joint_steps: int = 100_000
    lr: float = 1e-4
    reader_share: float = 0.1
    warmup: int = 500
    batch: int = 16
    reference: int = 192
    seconds: float = 12.0
    texts: int = 20_000
    """Unseen texts, where none are given."""
    seed: int = 1


def train(
    run: Styletts2Run,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    encoder: str | Path | None = None,
    texts: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Writes the part ``styletts2`` into ``folder``; gives the last losses of each stage.

    ``texts`` is a file with a sentence a line; made-up sentences if left out. TrainingError when it has none.
    """
    unseen = list(islice(_readable(texts, run, say), run.texts))
    if not unseen:
        raise TrainingError(f"{texts} has no line that can be read aloud; give a file with a sentence a line")
    batches = StyleBatches(
        speech, cache or folder, run.model.mel, batch=run.batch, reference=run.reference, seconds=run.seconds,
        seed=run.seed, unseen=unseen, say=say,
    )  # fmt: skip
    rate = run.model.mel.sample_rate
    heard = SpeechFeatures(load_part(BUNDLED, "listener") if encoder is None else open_encoder(str(encoder)), rate)
    torch.manual_seed(run.seed)
    model: Styletts2Model = run.model.build()
    if start is not None:
        begin_from(model, load_part(start, "styletts2"))
    sounding = (model, run.judges, heard, run.weights, run.spectra)
    tasks: tuple[tuple[str, Any, int], ...] = (
        ("reader", PhonesRead(model), run.reader_steps),
        ("sound", Styletts2Sound(*sounding), run.steps),
        ("joint", Styletts2Joint(*sounding), run.joint_steps),
    )
    found: dict[str, float] = {}
    for name, task, steps in tasks:
        optimizers = {phase: _optimizer(run, model, task, phase) for phase in task.phases}
        done = fit(
            task, batches, optimizers, steps=steps, schedule=warm_cosine(steps, run.warmup, floor=0.1), seed=run.seed,
            hooks=hooks(folder / name, f"styletts2, {name}", run, every=max(1, min(20, steps // 100))), device=device,
            bf16=False,
        )  # fmt: skip
        found |= {f"{name} {key}": value for key, value in done.losses.items()}
    model.cpu().eval()
    with torch.no_grad():
        model.usual.copy_(torch.cat([model.styles(batches(step).reference) for step in range(_USUAL)]).mean(0))
    card = {"recipe": "vivavoce.recipes.styletts2", "settings": dump(run)}
    save_part(folder, "styletts2", run.model, model, card, torch.float16)
    return found


def _optimizer(run: Styletts2Run, model: Styletts2Model, task: Any, phase: str) -> torch.optim.Optimizer:
    """Of a phase; the reader has a rate of its own where it is learnt with the rest."""
    slow = {id(p) for p in model.reader.parameters()} if isinstance(task, Styletts2Joint) else set()
    own = task.parameters_of(phase)
    groups = [
        {"params": [p for p in own if id(p) not in slow], "lr": run.lr},
        {"params": [p for p in own if id(p) in slow], "lr": run.lr * run.reader_share},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], run.lr, betas=(0.0, 0.99))


def _readable(texts: Path | None, run: Styletts2Run, say: Callable[[str], None]) -> Iterator[str]:
    """Lines in which something can be said; the others are named."""
    try:
        lines = sentences(run.texts, run.seed) if texts is None else texts.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(
            f"the texts {texts} cannot be read ({error}); give a file with a sentence a line"
        ) from error
    for line in lines:
        if not line.strip():
            continue
        try:
            normalise(line)
        except TextError as error:
            say(f"{line!r} is left out: {error}")
        else:
            yield line


# ---- the whole recipe, small ----

_READER = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=400, causal=False)
_DENOISER = TransformerConfig(
    dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=400, causal=False, condition=32
)  # fmt: skip
SMALL = Styletts2Run(
    model=Styletts2Config(
        phones=PhoneTokenizer().tokens, mel=SMALL_MEL, dim=32, decoder=32, channels=16, block_kernels=(3,),
        style=SMALL_STYLE, aligner=24, longest=24, reader=_READER, denoiser=_DENOISER,
    ),
    judges=DiscriminatorConfig(windows=(256,), channels=4, periods=(2,), period_channels=2),
    spectra=MultiSpectralConfig(windows=(1024, 256), mels=(40, 20)),
    weights=Styletts2Weights(unseen_every=4, styles_steps=3, crop=32, style_crop=64),
    reader_steps=4, steps=9, joint_steps=5, lr=5e-3, warmup=3, batch=2, reference=64, texts=8,
)  # fmt: skip


def debug(folder: Path, run: Styletts2Run = SMALL) -> dict[str, float]:
    """In seconds on a CPU: the mel distance of the first step of sound and of the last one."""
    speech = miniature.recordings(folder / "speech", miniature.LINES[2:5])
    found = train(run, speech, folder / "run", cache=folder)
    curve = [json.loads(line)["mel"] for line in (folder / "run" / "sound" / LOSSES).read_text().splitlines()]
    return {"before": curve[0], "after": found["sound mel"], **found}


def _run(run: Styletts2Run, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run, given.speech, given.out, start=given.start, encoder=others.get("encoder"), texts=others.get("texts"),
        cache=others.get("cache"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="styletts2",
    settings=Styletts2Run(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more, with texts"},
    takes={
        "from": "a StyleTTS 2 to go on from",
        "encoder": "a speech encoder whose features judge (WavLM, HuBERT); the bundled listener if left out",
        "texts": "a file with a sentence a line that nobody read; made-up ones if left out",
        "cache": "where decoded sound and pitch are kept",
    },
)
