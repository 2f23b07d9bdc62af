"""How VoiceLDM is trained: on recordings with texts, half of them in a sound, with an AudioLDM that stays as it is."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from vivavoce.assistant.demo import LINES
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.data.manifest import recordings
from vivavoce.data.scenes import SpokenScenes
from vivavoce.models.durator import DuratorConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.nn.unet import UNetConfig
from vivavoce.recipes import audioldm, miniature
from vivavoce.systems.voiceldm import VoiceLdmConfig
from vivavoce.text.phones import PHONES
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.latent import SpokenTask


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceLdmRun:
    """Numbers of a run; ``dropped`` are the shares of rows without a description and without words.

    ``noised`` is the share of recordings that a sound is put under, ``length`` what the text's length counts.
    """

    model: VoiceLdmConfig = VoiceLdmConfig()
    steps: int = 1_000_000
    lr: float = 2e-5
    warmup: int = 2000
    batch: int = 8
    dropped: tuple[float, float] = (0.1, 0.1)
    noised: float = 0.5
    length: float = 0.1
    ema: float = 0.999
    seed: int = 1


def train(
    run: VoiceLdmRun, speech: Path, base: Path, out: Path, *, start: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Writes the parts ``voiceldm``, ``audioldm`` and ``vocoder`` into ``out``; gives what was learnt at the end.

    ``base`` is a folder with an AudioLDM, ``start`` one with a VoiceLDM to go on from. Raises SpecError when the
    AudioLDM has other sounds than the run, and TrainingError when no recording can be used.
    """
    config = run.model
    sound = load_part(base, "audioldm").sound
    if sound.config != config.sound:
        raise SpecError(f"the AudioLDM in {base} has {sound.config}, the run {config.sound}; make the settings equal")
    clips = recordings(speech, "train", text=True)
    batches = SpokenScenes(
        clips, run.batch, config.sound.samples, config.sound.mel.sample_rate, run.seed, noised=run.noised
    )
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "voiceldm"))
    task = SpokenTask(sound, model, run.dropped, run.length)
    found = fit(
        task, batches, torch.optim.AdamW(task.parameters_of("model"), run.lr, weight_decay=0.01), steps=run.steps,
        hooks=hooks(out, "voiceldm", config, every=max(1, min(20, run.steps // 20))),
        schedule=warm_cosine(run.steps, run.warmup, floor=1.0), seed=run.seed, ema=run.ema, device=device,
        bf16=device != "cpu",
    )  # fmt: skip
    audioldm.take(model, found.model)
    card = {"recipe": "vivavoce.recipes.voiceldm", "settings": dump(run), "learnt": found.losses}
    save_part(out, "voiceldm", config, model, card, torch.float16)
    for part in ("audioldm", "vocoder"):
        copy_part(base, part, out)
    return found.losses


# ---- the whole recipe, small ----

_TRUNK = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=200, causal=False)
SMALL = VoiceLdmRun(
    model=VoiceLdmConfig(
        sound=replace(audioldm.SMALL_SOUND, count=64),
        unet=UNetConfig(
            inputs=2, outputs=2, channels=(16, 32), blocks=1, attends=(False, True), heads=2, groups=4, film=16,
            memory=32,
        ),
        durator=DuratorConfig(phones=len(PHONES), trunk=_TRUNK, heads=2),
    ),
    steps=30, lr=3e-3, warmup=5, batch=2, ema=0.0,
)  # fmt: skip
SAID = LINES[:1]
"""What is learnt by heart."""


def debug(folder: Path) -> dict[str, float]:
    """In seconds on a CPU: the error of the noise before and after; the AudioLDM beside it learns nothing."""
    torch.manual_seed(0)
    sounds = audioldm.small_sounds(folder / "sounds", replace(audioldm.SMALL.model, sound=SMALL.model.sound))
    speech = miniature.recordings(folder / "speech", SAID)
    found = train(SMALL, speech, sounds, folder / "run")
    before = json.loads((folder / "run" / LOSSES).read_text().splitlines()[0])["noise"]
    return {"before": before, "after": found["noise"], **found}


def _run(run: VoiceLdmRun, given: Given) -> None:
    assert given.speech is not None
    train(run, given.speech, given.others["sounds"], given.out, start=given.start, device=given.device)


RECIPE = Recipe(
    part="voiceldm",
    settings=VoiceLdmRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings with texts", "sounds": "a folder with an AudioLDM and its vocoder"},
    takes={"from": "a VoiceLDM to go on from"},
)
