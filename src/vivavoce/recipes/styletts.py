"""How StyleTTS is trained: first to draw recordings again with a transferable aligner, then to predict prosody.

The sound is made by a vocoder that was trained on the same frames (``vivavoce train vocoder``).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from vivavoce.core.config import dump
from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.models.style_encoder import StyleEncoderConfig
from vivavoce.models.vocoder import Vocoder
from vivavoce.recipes import miniature
from vivavoce.recipes.styletts_data import StyleBatches
from vivavoce.recipes.vocoder import SMALL_MEL, VocoderRun
from vivavoce.systems.styletts import StylettsConfig, StylettsModel, levelled
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.styletts import StylettsDraw, StylettsPredict, StyleWeights

_USUAL = 16
"""Batches whose mean style is the usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StylettsRun:
    """Numbers of a run: ``steps`` of the first stage, ``prosody_steps`` of the second; lengths in mel frames."""

    model: StylettsConfig = StylettsConfig(phones=PhoneTokenizer().tokens)
    judge: StyleEncoderConfig = StyleEncoderConfig(outputs=1)
    weights: StyleWeights = StyleWeights()
    steps: int = 100_000
    prosody_steps: int = 50_000
    lr: float = 1e-4
    warmup: int = 500
    batch: int = 16
    crop: int = 192
    reference: int = 192
    seconds: float = 12.0
    ema: float = 0.0
    seed: int = 1


def train(
    run: StylettsRun,
    speech: Path,
    vocoder: Path,
    folder: Path,
    *,
    start: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Writes the parts ``styletts`` and ``vocoder`` into ``folder``; gives the last losses of both stages.

    TrainingError when the vocoder takes other frames.
    """
    known: Vocoder = load_part(vocoder, "vocoder")
    if known.config.mel != run.model.mel:
        raise TrainingError(f"the vocoder in {vocoder} takes {known.config.mel}, this run draws {run.model.mel}")
    batches = StyleBatches(
        speech, cache or folder, run.model.mel, batch=run.batch, reference=run.reference, seconds=run.seconds,
        seed=run.seed, say=say,
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model: StylettsModel = run.model.build()
    if start is not None:
        begin_from(model, load_part(start, "styletts"))
    draw = StylettsDraw(model, run.judge, run.weights, crop=run.crop)
    predict = StylettsPredict(model, run.weights, crop=run.crop)
    found: dict[str, float] = {}
    for name, task, steps in (("drawing", draw, run.steps), ("prosody", predict, run.prosody_steps)):
        optimizers = {
            phase: torch.optim.AdamW(task.parameters_of(phase), run.lr, betas=(0.0, 0.99)) for phase in task.phases
        }
        done = fit(
            task, batches, optimizers, steps=steps, schedule=warm_cosine(steps, run.warmup, floor=0.1), seed=run.seed,
            hooks=hooks(folder / name, f"styletts, {name}", run, every=max(1, min(20, steps // 100))), device=device,
            ema=run.ema,
        )  # fmt: skip
        if done.ema is not None:
            model.load_state_dict({key.removeprefix("model."): value for key, value in done.ema.state_dict().items()
                                   if key.startswith("model.")})  # fmt: skip
        found |= {f"{name} {key}": value for key, value in done.losses.items()}
    model.cpu().eval()
    with torch.no_grad():
        styles = [model.style(levelled(batches(step).reference)) for step in range(_USUAL)]
        model.usual.copy_(torch.cat(styles).mean(0))
    card = {"recipe": "vivavoce.recipes.styletts", "settings": dump(run)}
    save_part(folder, "styletts", run.model, model, card, torch.float16)
    copy_part(vocoder, "vocoder", folder)
    return found


# ---- the whole recipe, small ----

SMALL_STYLE = StyleEncoderConfig(channels=4, most=16, blocks=4, outputs=8)
SMALL = StylettsRun(
    model=StylettsConfig(
        phones=PhoneTokenizer().tokens, mel=SMALL_MEL, dim=32, decoder=32, style=SMALL_STYLE, aligner=32, longest=24
    ),
    judge=StyleEncoderConfig(channels=4, most=16, blocks=2, outputs=1),
    steps=24, prosody_steps=20, lr=5e-3, warmup=3, batch=3, crop=48, reference=64,
)  # fmt: skip


def debug(folder: Path, run: StylettsRun = SMALL) -> dict[str, float]:
    """In seconds on a CPU: the mel distance of the first step and of the last one."""
    speech = miniature.recordings(folder / "speech", miniature.LINES[2:5])
    voice = VocoderRun(generator="istftnet", mel=run.model.mel, channels=16, strides=(10, 6)).vocoder
    torch.manual_seed(run.seed)
    save_part(folder / "vocoder", "vocoder", voice, voice.build())
    found = train(run, speech, folder / "vocoder", folder / "run", cache=folder)
    curve = [json.loads(line)["mel"] for line in (folder / "run" / "drawing" / LOSSES).read_text().splitlines()]
    return {"before": curve[0], "after": found["drawing mel"], **found}


def _run(run: StylettsRun, given: Given) -> None:
    assert given.speech is not None
    train(
        run, given.speech, given.others["vocoder"], given.out, start=given.start, cache=given.others.get("cache"),
        device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="styletts",
    settings=StylettsRun(),
    train=_run,
    debug=debug,
    needs={
        "speech": "recordings at 16 kHz and more, with texts",
        "vocoder": "a folder with a vocoder of the same frames",
    },
    takes={"from": "a StyleTTS to go on from", "cache": "where decoded sound and pitch are kept"},
)
