"""How AudioLDM is trained: its encoder of words and sounds, its autoencoder, then the noise in latent pictures.

It learns from sounds that are made (`data.scenes`), and from recordings whose text in the manifest says what they are.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError, TrainingError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.data.manifest import Record, recordings
from vivavoce.data.scenes import SceneBatch, Scenes
from vivavoce.models.contrastive import TextSoundConfig
from vivavoce.models.latent_sound import LatentSoundConfig
from vivavoce.models.vae import MelVaeConfig
from vivavoce.models.vocoder import VocoderConfig, VocosConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.mel_judges import MelJudgesConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.nn.unet import UNetConfig
from vivavoce.systems.audioldm import AudioLdmConfig
from vivavoce.train import Run, Task, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.latent import ContrastTask, LatentTask, VaeTask


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLdmRun:
    """Numbers of a run: ``steps`` and ``lr`` of encoder, autoencoder and net, in this order.

    ``divergence`` is what the autoencoder's distance to normal numbers counts, ``adversarial`` what its judge does from
    step ``judged_from`` on; ``dropped`` the share of sounds whose condition is left out, ``mixed`` of those that
    the net sees with another sound in them.
    """

    model: AudioLdmConfig = AudioLdmConfig()
    steps: tuple[int, int, int] = (20_000, 200_000, 600_000)
    lr: tuple[float, float, float] = (1e-3, 1e-4, 1e-4)
    warmup: int = 2000
    batch: int = 8
    contrasted: int = 32
    divergence: float = 1e-3
    judge: MelJudgesConfig = MelJudgesConfig(windows=(1024,), channels=64, mean=0.0, deviation=1.0)
    adversarial: float = 0.5
    judged_from: int = 50_000
    dropped: float = 0.1
    mixed: float = 0.5
    ema: float = 0.999
    levelled: int = 32
    distinct: int = 0
    """How many sounds are made for all three; 0: new ones in every step."""
    seed: int = 1


def train(
    run: AudioLdmRun, vocoder: Path, out: Path, *, speech: Path | None = None, start: Path | None = None,
    device: str = "cpu", say: Callable[[str], None] = print,
) -> dict[str, float]:  # fmt: skip
    """Trains all three and writes the parts ``audioldm`` and ``vocoder`` into ``out``; gives what they learnt.

    ``speech`` is a folder of recordings with texts, ``start`` one with an AudioLDM to go on from. Raises SpecError when
    the vocoder takes other frames and TrainingError when recordings have no texts.
    """
    config, sound = run.model, run.model.sound
    if (known := load_part(vocoder, "vocoder").config.mel) != sound.mel:
        raise SpecError(f"the vocoder in {vocoder} takes frames of {known}, the model makes {sound.mel}; train another")
    clips: Sequence[Record] = [] if speech is None else recordings(speech, "train", text=True)
    if speech is not None and not clips:
        raise TrainingError(f"no recording in {speech} has a text that says what it is; write one into the manifest")
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "audioldm"))

    made = Scenes(1, sound.samples, sound.mel.sample_rate, run.seed * 10, distinct=run.distinct)

    def scenes(name: int, rows: int, mixed: float = 0.0) -> Scenes:
        return Scenes(
            rows, sound.samples, sound.mel.sample_rate, run.seed * 10 + name, clips=clips, mixed=mixed,
            distinct=run.distinct, same=made if run.distinct else None,
        )  # fmt: skip

    def learn(number: int, name: str, task: Task[SceneBatch, Any], batches: Scenes, ema: float) -> Run:
        say(f"{name}: {run.steps[number]} steps")
        optimizers = {phase: torch.optim.AdamW(task.parameters_of(phase), run.lr[number]) for phase in task.phases}
        return fit(
            task, batches, optimizers, steps=run.steps[number],
            hooks=hooks(out / name, f"audioldm, {name}", config, every=max(1, min(20, run.steps[number] // 20))),
            schedule=warm_cosine(run.steps[number], run.warmup, floor=0.1), seed=run.seed, ema=ema, device=device,
            bf16=device != "cpu",
        )  # fmt: skip

    some = scenes(9, run.levelled)(0).wave
    model.sound.frames.measure(some)
    found = {}
    words = learn(0, "words", ContrastTask(model.sound), scenes(0, run.contrasted), 0.0)
    copying = VaeTask(
        model.sound, run.judge, divergence=run.divergence, adversarial=run.adversarial, judged_from=run.judged_from
    )
    copies = learn(1, "copies", copying, scenes(1, run.batch), 0.0)
    model.cpu()
    model.sound.eval().measure(some)
    task = LatentTask(model.sound, model.unet, config.schedule, run.dropped)
    noise = learn(2, "noise", task, scenes(2, run.batch, run.mixed), run.ema)
    take(model.unet, noise.model)
    for name, one in (("words", words), ("copies", copies), ("noise", noise)):
        found |= {f"{name} {key}": value for key, value in one.losses.items()}
    card = {"recipe": "vivavoce.recipes.audioldm", "settings": dump(run), "learnt": found}
    save_part(out, "audioldm", config, model.cpu(), card, torch.float16)
    copy_part(vocoder, "vocoder", out)
    return found


def take(net: nn.Module, trained: nn.Module) -> None:
    """Gives a net the averaged weights of a task's ``model``."""
    state = {key.removeprefix("model."): value.cpu() for key, value in trained.state_dict().items()}
    net.cpu().load_state_dict(state)


# ---- the whole recipe, small ----

SMALL_SOUND = LatentSoundConfig(
    mel=LogMelConfig(sample_rate=16000, bins=16, hop=320, window=1280, n_fft=2048, fmax=8000.0),
    vae=MelVaeConfig(bins=16, latent=2, channels=(16, 16), blocks=1, groups=4),
    contrastive=TextSoundConfig(
        bins=16,
        dim=16,
        text=TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=401, causal=False),
        channels=(8, 16),
    ),
    count=32,
)
SMALL_NET = UNetConfig(
    inputs=2, outputs=2, channels=(16, 32), blocks=1, attends=(False, True), heads=2, groups=4, film=16
)
SMALL = AudioLdmRun(
    model=AudioLdmConfig(sound=SMALL_SOUND, unet=SMALL_NET), steps=(20, 30, 50), lr=(5e-3, 5e-3, 3e-3), warmup=5,
    batch=4, contrasted=8, levelled=8, ema=0.0,
    judge=MelJudgesConfig(windows=(64,), channels=4, layers=2, mean=0.0, deviation=1.0), adversarial=0.1,
    judged_from=22, distinct=18,
)  # fmt: skip


def small_vocoder(folder: Path) -> Path:
    """A folder with a vocoder of the miniature's frames that has learnt nothing."""
    net = VocosConfig(inputs=16, trunk=ConvNeXtConfig(dim=16, depth=1), window=1280, hop=320)
    config = VocoderConfig(mel=SMALL_SOUND.mel, net=net)
    save_part(folder, "vocoder", config, config.build())
    return folder


def small_sounds(folder: Path, config: AudioLdmConfig) -> Path:
    """A folder with a small AudioLDM and a vocoder that have learnt nothing but their levels."""
    model = config.build()
    some = Scenes(6, config.sound.samples, config.sound.mel.sample_rate, 1)(0).wave
    model.sound.frames.measure(some)
    model.sound.measure(some)
    save_part(folder, "audioldm", config, model)
    return small_vocoder(folder)


def debug(folder: Path) -> dict[str, float]:
    """In seconds on a CPU: the error of the noise before and after; the vocoder learns nothing."""
    torch.manual_seed(0)
    found = train(SMALL, small_vocoder(folder / "vocoder"), folder / "run")
    before = json.loads((folder / "run" / "noise" / LOSSES).read_text().splitlines()[0])["noise"]
    return {"before": before, "after": found["noise noise"], **found}


def _run(run: AudioLdmRun, given: Given) -> None:
    train(
        run, given.others["vocoder"], given.out, speech=given.speech, start=given.start, device=given.device,
        say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="audioldm",
    settings=AudioLdmRun(),
    train=_run,
    debug=debug,
    needs={"vocoder": "a vocoder of the same frames, trained on such sounds"},
    takes={"speech": "recordings whose text says what they are", "from": "an AudioLDM to go on from"},
)
