"""How an encoder that learnt from sound alone is fine-tuned: to write phones, from minutes of speech with texts."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vivavoce.audio.pcm import to_float
from vivavoce.core import rng
from vivavoce.core.errors import ManifestError, TextError
from vivavoce.core.parts import save_part
from vivavoce.core.streams import sound
from vivavoce.data.manifest import Record
from vivavoce.evals.word_errors import distance
from vivavoce.models.encoder import load_encoder
from vivavoce.recipes import miniature
from vivavoce.recipes.hubert import HubertRun
from vivavoce.recipes.pretraining import SpeechData, heard
from vivavoce.recipes.pretraining_data import RATE, card
from vivavoce.systems.wav2vec2 import CtcModel, CtcModelConfig
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import PHONES, ids
from vivavoce.text.pronounce import pronounce
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.recipe import LOSSES, Given, Recipe, hooks
from vivavoce.train.tasks.ctc import CtcTask, WrittenBatch

_MEASURED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CtcRun:
    """Numbers of a run: ``minutes`` of speech with texts (0: all), batches of ``rows`` recordings.

    The layers begin to learn after ``frozen`` steps. ``control`` gives the encoder random weights, all of which learn
    from the first step on: what the learning before was worth.
    """

    minutes: float = 10.0
    rows: int = 8
    longest: float = 12.0
    frozen: int = 300
    control: bool = False
    steps: int = 1500
    warmup: int = 100
    lr: float = 1e-3
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Lines:
    """Recordings that are learnt from, by their number, with their phones."""

    phones: dict[int, list[int]]

    @staticmethod
    def of(clips: Sequence[Record], longest: float, minutes: float, seed: int) -> "_Lines":
        order = rng.stream(seed, "ctc").permutation(len(clips)).tolist()
        found: dict[int, list[int]] = {}
        seconds = 0.0
        for number in order:
            clip = clips[number]
            if not clip.text or clip.seconds > longest or (minutes and seconds + clip.seconds > 60 * minutes):
                continue
            try:
                said = [phone for word in pronounce(normalise(clip.text)) for phone in word]
            except TextError:  # numbers in another script, say: one of many lines
                continue
            if said and len(said) < clip.seconds * 20:
                found[number] = ids(said)
                seconds += clip.seconds
        return _Lines(found)


def train(
    run: CtcRun,
    speech: Path,
    out: Path,
    start: Path,
    *,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the part ``ctc`` into ``out``; resumes there. ``start`` is a folder with an encoder's part."""
    torch.manual_seed(run.seed)
    known = load_encoder(start)
    front = 1.0 if run.control else 0.0
    config = CtcModelConfig(encoder=replace(known.config, front_gradient=front), symbols=PHONES[1:])
    task = CtcTask(config, frozen=run.frozen, fresh=run.control)
    if not run.control:
        task.model.encoder.load_state_dict(known.state_dict())
    data = heard(speech, cache or out, say)
    lines = _Lines.of(data.clips["train"], run.longest, run.minutes, run.seed)
    dev = _Lines.of(data.clips["dev"], run.longest, 0.0, 0)
    if not lines.phones:
        raise ManifestError(f"no recording of {speech} has a text and lasts at most {run.longest} s; give longer lines")
    parameters = [weight for weight in task.parameters() if weight.requires_grad]

    def export(now: Run) -> None:
        assert isinstance(now.task, CtcTask)
        save_part(out, "ctc", config, now.task.model, card(now, data.clips["train"]), torch.float16)

    return fit(
        task,
        lambda step: _batch(run, data, lines, step),
        torch.optim.AdamW(parameters, run.lr, betas=(0.9, 0.98), weight_decay=0.01),
        steps=run.steps,
        hooks=hooks(
            out,
            "ctc",
            config,
            every=max(1, min(20, run.steps // 100)),
            measure=(lambda now: {"phone_errors": phone_errors(now, data, dev)}) if dev.phones else None,
            export=export,
        ),
        schedule=warm_cosine(run.steps, run.warmup),
        seed=run.seed,
        clip=5.0,
        device=device,
    )


def _batch(run: CtcRun, data: SpeechData, lines: _Lines, step: int) -> WrittenBatch:
    draw = rng.stream(run.seed, "ctc", step)
    chosen = draw.choice(np.array(list(lines.phones)), run.rows).tolist()
    waves = [torch.from_numpy(to_float(data.sound["train"][n]["wave"])) for n in chosen]
    phones = [torch.tensor(lines.phones[n]) for n in chosen]
    lengths = torch.tensor([len(wave) for wave in waves])
    return WrittenBatch(
        nn.utils.rnn.pad_sequence(waves, batch_first=True),
        lengths,
        nn.utils.rnn.pad_sequence(phones, batch_first=True),
        torch.tensor([len(row) for row in phones]),
        float(lengths.sum()) / RATE,
    )


def phone_errors(task: nn.Module, data: SpeechData, lines: _Lines) -> float:
    """Greedy phone error rate on what was not learnt from."""
    assert isinstance(task, CtcTask)
    model: CtcModel = task.model
    wrong = total = 0
    for number in list(lines.phones)[:_MEASURED]:
        wave = torch.from_numpy(to_float(data.sound["dev"][number]["wave"]))
        (said,) = model.transcribe(sound(wave.to(model.head.out.weight.device), RATE))
        wrong += distance(ids(said), lines.phones[number])
        total += len(lines.phones[number])
    return wrong / max(total, 1)


def debug(folder: Path) -> dict[str, float]:
    """In seconds: an encoder that has learnt nothing learns a few lines by heart."""
    speech = miniature.recordings(folder / "speech")
    encoder = HubertRun().chosen
    small = replace(encoder.encoder, trunk=replace(encoder.encoder.trunk, layers=1, dropout=0.0), dropout=0.0)
    save_part(folder, "hubert", replace(encoder, encoder=small), replace(encoder, encoder=small).build())
    train(CtcRun(rows=4, frozen=3, steps=40, warmup=5, lr=3e-3), speech, folder / "run", folder)
    lines = [json.loads(line) for line in (folder / "run" / LOSSES).read_text().splitlines()]
    return {"before": lines[0]["ctc"], "after": lines[-1]["ctc"]}


def _run(run: CtcRun, given: Given) -> None:
    assert given.speech is not None and given.start is not None
    train(
        run, given.speech, given.out, given.start, cache=given.others.get("cache"), device=given.device, say=given.say
    )


RECIPE = Recipe(
    part="ctc",
    settings=CtcRun(),
    train=_run,
    debug=debug,
    needs={"speech": "people reading, with their texts", "from": "a run of hubert, wav2vec2 or w2vbert"},
    takes={"cache": "a folder for decoded sound, which several runs can share"},
)
