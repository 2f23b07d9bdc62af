"""How Mega-TTS is trained: its factors against judges, then prosody and lengths (arXiv:2306.03509 §3).

Learns from recordings with texts, several of each speaker, whose phones the bundled listener times. The vocoder is
trained for itself (``vivavoce train vocoder``) on the same frames.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from vivavoce.assistant.demo import LINES
from vivavoce.audio.files import SYNTHETIC, read_audio, write_audio
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.resample import resample
from vivavoce.core.config import dump
from vivavoce.core.errors import SpecError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.manifest import read_manifest, recordings, write_manifest
from vivavoce.models.phone_durations import PhoneDurationsConfig
from vivavoce.models.prosody_codes import ProsodyCodesConfig
from vivavoce.models.prosody_lm import ProsodyLmConfig
from vivavoce.models.vocoder import HifiganConfig, VocoderConfig
from vivavoce.nn.conv_stack import ConvStackConfig
from vivavoce.nn.hifigan import UpsamplerConfig
from vivavoce.nn.mel_judges import MelJudgesConfig
from vivavoce.nn.multi_reference import MultiReferenceConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.megatts_data import MegaData, prepared
from vivavoce.systems.megatts import MegaConfig, MegaModel
from vivavoce.text.tokenizers import PhoneTokenizer
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.megatts import MegaTask, MegaWeights, PlanTask

_BOTH = TransformerConfig(dim=512, layers=4, heads=4, kv_heads=4, hidden=1024, window=1000, causal=False, dropout=0.1)
_AHEAD = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=4000, dropout=0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MegaRun:
    """Numbers of a run. ``sentences`` of one speaker in a row are learnt from at most, ``references`` heard at most."""

    part: Literal["megatts", "megatts2"] = "megatts"
    mel: LogMelConfig = LogMelConfig(bins=80, hop=300, window=1200, n_fft=2048)
    content: TransformerConfig = _BOTH
    timbre: MultiReferenceConfig = MultiReferenceConfig(heads=0)
    prosody: ProsodyCodesConfig = ProsodyCodesConfig()
    decoder: ConvStackConfig = ConvStackConfig(width=512, depth=8)
    lengths: TransformerConfig = _BOTH
    lm: TransformerConfig = replace(_AHEAD, dim=1024, heads=16, kv_heads=16, hidden=2816, layers=12)
    judges: MelJudgesConfig = MelJudgesConfig()
    weights: MegaWeights = MegaWeights()
    batch: int = 16
    references: int = 1
    sentences: int = 1
    steps: int = 20000
    plan_steps: int = 20000
    lr: float = 5e-4
    warmup: int = 500
    seed: int = 1

    @property
    def config(self) -> MegaConfig:
        """What is trained."""
        width = self.content.dim
        return MegaConfig(
            mel=self.mel, phones=PhoneTokenizer().tokens, content=self.content, timbre=self.timbre,
            prosody=self.prosody, decoder=self.decoder,
            durations=PhoneDurationsConfig(inputs=width, trunk=self.lengths, follows=self.lengths.causal),
            lm=ProsodyLmConfig(trunk=self.lm, size=self.prosody.size, condition=width),
        )  # fmt: skip


def train(
    run: MegaRun, speech: Path, vocoder: Path, out: Path, *, start: Path | None = None, device: str = "cpu"
) -> dict[str, float]:
    """Trains both stages and writes the parts and the ``vocoder`` into ``out``; gives what was learnt at the end.

    ``start`` is a folder with a Mega-TTS to go on from. SpecError for a vocoder of other frames.
    """
    config = run.config
    if (known := load_part(vocoder, "vocoder").config.mel) != run.mel:
        raise SpecError(f"the run draws {run.mel}, the vocoder in {vocoder} takes {known}; train one for these frames")
    torch.manual_seed(run.seed)
    model: MegaModel = config.build()
    if start is not None:
        begin_from(model, load_part(start, run.part))
    clips = recordings(speech, "train", text=True)
    cache = prepared(clips, run.mel, load_part(BUNDLED, "listener"), "mini/listener", out / "prepared")
    data = MegaData(clips, cache, batch=run.batch, references=run.references, seed=run.seed)

    def adam(parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameters, lr=run.lr, betas=(0.9, 0.98), weight_decay=0.01)

    first = MegaTask(model, run.judges, run.weights)
    made: Run = fit(
        first, data.utterances, {phase: adam(first.parameters_of(phase)) for phase in first.phases}, steps=run.steps,
        hooks=hooks(out / "factors", f"{run.part}, factors", config), schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed, device=device, bf16=False,
    )  # fmt: skip
    model = first.model.cpu()
    second = PlanTask(model)
    planned: Run = fit(
        second, lambda step: data.conversations(step, run.sentences), adam(second.parameters_of("model")),
        steps=run.plan_steps, hooks=hooks(out / "plan", f"{run.part}, plan", config),
        schedule=warm_cosine(run.plan_steps, run.warmup), seed=run.seed, device=device, bf16=False,
    )  # fmt: skip
    card = {"recipe": f"vivavoce.recipes.{run.part}", "settings": dump(run), "speakers": len(data.speakers)}
    save_part(out, run.part, config, model.cpu(), card, torch.float16)
    copy_part(vocoder, "vocoder", out)
    return {f"factors {key}": value for key, value in made.losses.items()} | {
        f"plan {key}": value for key, value in planned.losses.items()
    }


# ---- the whole recipe, small ----

SPEEDS = (0.8, 1.25)
"""The recordings played so fast are two speakers."""
_MEL = LogMelConfig(bins=40, hop=300, window=1200, n_fft=2048)
_WIDE = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=64, window=400, causal=False)
SMALL = MegaRun(
    mel=_MEL, content=_WIDE, timbre=MultiReferenceConfig(bins=40, stack=ConvStackConfig(width=32, depth=1), heads=0),
    prosody=ProsodyCodesConfig(stack=ConvStackConfig(width=32, depth=1), size=16, code_dim=8),
    decoder=ConvStackConfig(width=48, depth=2), lengths=_WIDE, lm=replace(_WIDE, causal=True),
    judges=MelJudgesConfig(windows=(16, 32), channels=4, layers=2), weights=MegaWeights(judged_from=10),
    batch=4, steps=30, plan_steps=30, lr=3e-3, warmup=5,
)  # fmt: skip


def two_speakers(folder: Path) -> Path:
    """Recordings at two speeds, as if of two people, with a manifest; gives the folder."""
    found = read_manifest(miniature.recordings(folder, [LINES[0], LINES[2], LINES[3]]) / "manifest.jsonl")
    records = []
    for record in found:
        wave, rate = read_audio(record.file)
        for speed in SPEEDS:
            made = resample(wave[None], round(rate * speed), rate)[0]
            path = f"{speed} {record.path}".replace(".ogg", ".flac")
            write_audio(folder / path, made, rate, comment=SYNTHETIC)
            about = replace(record, id=path, path=path, seconds=len(made) / rate, sample_rate=rate)
            records.append(replace(about, speaker=f"vivavoce:{speed}"))
    write_manifest(folder, records)
    return folder


def small_vocoder(folder: Path) -> Path:
    """A vocoder of the miniature's frames with random weights; gives the folder."""
    torch.manual_seed(0)
    up = UpsamplerConfig(inputs=_MEL.bins, channels=16, strides=(10, 5, 3, 2), kernels=(20, 10, 6, 4))
    config = VocoderConfig(mel=_MEL, net=HifiganConfig(up=up))
    save_part(folder, "vocoder", config, config.build())
    return folder


def debug(folder: Path, run: MegaRun = SMALL) -> dict[str, float]:
    """Some seconds on a CPU: two speakers of three sentences; the distance of mel frames before and after."""
    speech, vocoder = two_speakers(folder / "speech"), small_vocoder(folder / "vocoder")
    found = train(run, speech, vocoder, folder / "run")
    before = json.loads((folder / "run" / "factors" / LOSSES).read_text().splitlines()[0])["mel"]
    return {"before": before, "after": found["factors mel"], **found}


def trained(run: MegaRun, given: Given) -> None:
    """As `Recipe.train` wants it."""
    assert given.speech is not None  # `NEEDS` says so
    train(run, given.speech, given.others["vocoder"], given.out, start=given.start, device=given.device)


NEEDS = {
    "speech": "recordings with texts, several of each speaker",
    "vocoder": "a vocoder of the same mel frames",
}
TAKES = {"from": "a Mega-TTS to go on from"}
RECIPE = Recipe(part="megatts", settings=MegaRun(), train=trained, debug=debug, needs=NEEDS, takes=TAKES)
