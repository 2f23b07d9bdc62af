"""How the codec's back is trained on with judges, the codec's second stage: tokens keep their meaning.

Beside recordings it may learn from spectra that a speaker drew (``drawn``, a file that ``train listener`` writes), for
as many rows of a batch as ``crops.drawn`` says.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vivavoce.core.parts import borrowed_of, load_part
from vivavoce.data.manifest import recordings
from vivavoce.models.codec import CodecConfig
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.recipes import codec
from vivavoce.recipes.codec import SMALL, Stage, decoded, learn
from vivavoce.recipes.codec_data import LEAST_RATE, Crops, load_drawn
from vivavoce.train import Run
from vivavoce.train.recipe import Given, Recipe, begin_from
from vivavoce.train.tasks.codec import CodecWeights
from vivavoce.train.tasks.codec_gan import CodecGan


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecGanRun(Stage):
    """Numbers of the second stage; ``codec`` is that of the part that it goes on from.

    ``judges_share`` is the judges' gradient beside the spectra's at first and after ``judges_over`` steps. A
    ``fewer_books`` part of the crops is made of their first books only.
    """

    codec: CodecConfig = CodecConfig()
    weights: CodecWeights = CodecWeights()
    steps: int = 4000
    lr: float = 3e-4
    judges: DiscriminatorConfig = DiscriminatorConfig()
    judges_share: tuple[float, float] = (0.3, 0.3)
    judges_over: int = 4000
    judges_alone: int = 200
    judged_every: int = 2
    judged_samples: int = 10240
    fewer_books: float = 0.25


def train(
    run: CodecGanRun,
    speech: Path,
    folder: Path,
    *,
    start: Path,
    drawn: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
) -> Run:
    """Goes on from the codec in ``start``; what makes tokens stays as it is. Writes the part ``codec`` into ``folder``.

    ``drawn`` is a file of spectra that a speaker drew (`codec_data.DrawnSpectra`); decoded sound is kept in ``cache``.
    """
    known = load_part(start, "codec")
    run = replace(run, codec=known.config)
    torch.manual_seed(run.seed)
    task = CodecGan(
        run.codec,
        run.judges,
        run.weights,
        share=run.judges_share,
        over=run.judges_over,
        judges_alone=run.judges_alone,
        judged_every=run.judged_every,
        seen_samples=run.judged_samples,
        fewer_books=run.fewer_books,
    )
    begin_from(task.codec, known)
    betas = (0.8, 0.99)
    optimizers = {
        "codec": torch.optim.AdamW(task.parameters_of("codec"), run.lr, betas=betas, weight_decay=0.01),
        "judges": torch.optim.AdamW(task.parameters_of("judges"), run.lr, betas=betas),
    }
    clips = recordings(speech, "train", least_rate=LEAST_RATE)
    sound, spectra = (
        decoded(clips, run.codec.sample_rate, cache or folder),
        None if drawn is None else load_drawn(drawn),
    )
    crops = Crops(run.crops, run.codec, clips, sound, None, run.seed, spectra)
    kept = "front.", "quantizer."  # they decide ids, which stay what they are to the last bit
    return learn(task, optimizers, run, crops, speech, folder, device, borrowed=borrowed_of(start, "codec"), exact=kept)


def debug(folder: Path) -> dict[str, float]:
    """Both stages in well under a minute on a CPU: the mel distance at first, after the first stage and at the end."""
    first = codec.debug(folder / "first")
    run = CodecGanRun(
        crops=SMALL.crops, steps=6, warmup=SMALL.warmup, ema=SMALL.ema, judged_samples=4096,
        judges=DiscriminatorConfig(channels=8),
    )  # fmt: skip
    done = train(run, folder / "first" / "speech", folder, start=folder / "first", cache=folder / "first")
    return {"before": first["before"], "first stage": first["after"], "after": done.losses["mel"]}


def _run(run: CodecGanRun, given: Given) -> None:
    assert given.speech is not None and given.start is not None
    train(run, given.speech, given.out, start=given.start, drawn=given.others.get("drawn"), device=given.device)


RECIPE = Recipe(
    part="codec",
    settings=CodecGanRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more", "from": "the codec of the first stage"},
    takes={"drawn": "the drawn.safetensors that `train listener --with speaker=…` wrote"},
)
