"""Trains the speaker on real readers, and writes it out with the voices that it brings along."""

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch

from vivavoce.audio.files import length_of
from vivavoce.audio.formants import warp
from vivavoce.core.errors import VoiceError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.rng import stream
from vivavoce.data import manifest
from vivavoce.data.examples import bin_of_hz
from vivavoce.data.features import Features, features
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.data.speaker import SpeakerBatches
from vivavoce.models.script import script_of
from vivavoce.models.speak import Speaker, SpeakerConfig
from vivavoce.nn.style import VoicePrint
from vivavoce.recipes.speaker_align import load_spans, make_alignments, run_flite
from vivavoce.train import Run, fit, warm_cosine
from vivavoce.train.loop import moved
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.speaker import SpeakTask


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerRun:
    """One training of the speaker."""

    model: SpeakerConfig = field(default_factory=SpeakerConfig)
    size: int = 16
    steps: int = 12000
    lr: float = 1.5e-3
    seed: int = 0
    ema: float = 0.998
    voices: tuple[tuple[str, str, float], ...] = (
        ("default", "kathleen", 1.0),
        ("woman", "ljspeech:lj", 1.0),
        ("man", "librispeech:27", 1.0),
        ("old woman", "kathleen", 1.0),
        ("old man", "librispeech:2803", 1.0),
        ("child", "ljspeech:lj", 1.15),
        ("giant", "librispeech:2803", 0.88),
    )
    """What the part brings along: a name, whose voice it is, and how much shorter (above 1) the throat is."""


def measure(task: SpeakTask, batches: SpeakerBatches) -> dict[str, float]:
    """Losses on the clips that were held out, without warping."""
    task.eval()
    chosen = batches.held_out[:64]
    random = stream(0, "held out")
    sums: dict[str, float] = {}
    pieces = [chosen[i : i + 16] for i in range(0, len(chosen), 16)]
    with torch.no_grad():
        for piece in pieces:
            batch = moved(batches.collate(piece, random, plain=True), task.people.device)
            for name, term in task.losses("model", batch, task.outputs(batch)).items():
                sums[f"held_{name}"] = sums.get(f"held_{name}", 0.0) + float(term.value) / len(pieces)
    return sums


def prepare(speech: Path, cache: Path, run: SpeakerRun, say: Callable[[str], None] = print) -> SpeakerBatches:
    """Features, alignments and batches of a folder of recordings; what is in the cache and fits is not made again."""
    clips = manifest.recordings(speech, "train", lang="en")
    made = features(
        clips, cache, run.model.mel, lambda what, at, of: say(f"{what} {at}/{of}") if at % 500 == 0 else None
    )
    if not (cache / "spans.safetensors").exists():
        make_alignments(clips, made, cache, run.model.mel, say=say)
    spans, scores = load_spans(cache / "spans.safetensors")
    return SpeakerBatches(clips, made, spans, scores, size=run.size, seed=run.seed)


def train(
    run: SpeakerRun, batches: SpeakerBatches, folder: Path, device: str = "cpu", start: Path | None = None
) -> Run:
    """Trains (or goes on training) in ``folder``: checkpoint, curves and measurements.

    ``start`` is a folder with a speaker whose weights are gone on from.
    """
    torch.manual_seed(run.seed)
    speaker = run.model.build()
    if start is not None:
        begin_from(speaker, load_part(start, "speaker"), fresh=("voices_",))
    speaker.typical_mean.copy_(batches.typical[0])
    speaker.typical_spread.copy_(batches.typical[1])
    task = SpeakTask(speaker, len(batches.speakers))
    optimizer = torch.optim.AdamW(task.parameters(), lr=run.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    return fit(
        task,
        batches,
        optimizer,
        steps=run.steps,
        schedule=warm_cosine(run.steps, min(200, run.steps // 10)),
        seed=run.seed,
        ema=run.ema,
        hooks=hooks(folder, "speaker", run.model, measure=lambda model: measure(cast(SpeakTask, model), batches)),
        device=device,
    )


def make(
    run: SpeakerRun,
    speech: Path,
    folder: Path,
    say: Callable[[str], None] = print,
    device: str = "cpu",
    start: Path | None = None,
) -> Run:
    """The whole recipe: prepares in ``folder/cache``, trains in ``folder`` and writes the part there."""
    batches = prepare(speech, folder / "cache", run, say)
    done = train(run, batches, folder, device, start)
    done.model.cpu()
    assert isinstance(done.model, SpeakTask)
    clips = manifest.recordings(speech, "train", lang="en")
    cast = casting(run, clips, batches.made)
    voices = {name: {"speaker": who, "throat": factor} for name, (who, factor) in cast.items()}
    card = {"steps": done.step, "audio_hours": round(done.audio_seconds / 3600, 1), "voices": voices}
    export(done.model.speaker, clips, batches.made, cast, folder, card)
    return done


def casting(run: SpeakerRun, clips: Sequence[Record], made: Features) -> dict[str, tuple[str, float]]:
    """Who gives each voice: as the run says, and for people who were not recorded whoever of that sex spoke longest."""
    frames: Counter[str] = Counter()
    for number, clip in enumerate(clips):
        frames[clip.speaker] += int(made.starts[number + 1] - made.starts[number])
    sexes = {clip.speaker: clip.sex for clip in clips}
    found: dict[str, tuple[str, float]] = {}
    for name, person, factor in run.voices:
        sex = "M" if name.endswith(("man", "giant")) and not name.endswith("woman") else "F"
        alike = [who for who, _ in frames.most_common() if sexes[who] == sex] or [frames.most_common(1)[0][0]]
        found[name] = (person if person in frames else alike[0], factor)
    return found


def print_of(speaker: Speaker, person: str, clips: Sequence[Record], made: Features, factor: float = 1.0) -> VoicePrint:
    """The print of a person from their longest clips; ``factor`` makes the throat shorter (above 1) or longer."""
    own = [number for number, clip in enumerate(clips) if clip.speaker == person]
    if not own:
        raise VoiceError(f"the corpus has nobody called {person!r}; choose a speaker of the manifest")
    own.sort(key=lambda number: int(made.starts[number] - made.starts[number + 1]))
    chosen = own[:_PRINT_CLIPS]
    mel = torch.cat([made.mel_of(number) for number in chosen])
    hz = torch.cat([made.hz_of(number) for number in chosen])
    top_bin = bin_of_hz(clips[chosen[0]].trusted_hz, mel.shape[1])
    with torch.no_grad():
        return speaker.listen(warp(mel, factor), hz * factor, top_bin)


def export(
    trained: Speaker,
    clips: Sequence[Record],
    made: Features,
    casting: Mapping[str, tuple[str, float]],
    folder: Path,
    card: dict[str, Any],
) -> Speaker:
    """Writes the part ``speaker`` in half precision; each voice is a name, a speaker of the corpus and a factor."""
    config = replace(trained.config, voices=tuple(casting))
    speaker = config.build().eval()
    learnt = {key: value for key, value in trained.state_dict().items() if not key.startswith("voices_")}
    speaker.load_state_dict(speaker.state_dict() | learnt)
    with torch.no_grad():
        for name, (person, factor) in casting.items():
            speaker.bring(name, print_of(speaker, person, clips, made, factor))
    save_part(folder, "speaker", config, speaker, card=card, dtype=torch.float16)
    return speaker


_PRINT_CLIPS = 8
_DEBUG_TEXTS = (
    "Welcome to the tavern, what can I get for you?",
    "One large latte, coming right up.",
    "The house coffee is roasted here every morning.",
    "I did not quite catch that, could you say it again?",
)


def debug(folder: Path, say: Callable[[str], None] = print) -> dict[str, float]:
    """The whole recipe in under a minute, on speech of flite: gives the error of the mel before and after training."""
    speech = folder / "speech"
    speech.mkdir(parents=True, exist_ok=True)
    records = []
    for number, (text, voice) in enumerate(itertools.product(_DEBUG_TEXTS, ("rms", "slt", "kal16"))):
        path = speech / f"{number}.wav"
        run_flite(text, voice, path)
        records.append(
            Record(
                id=f"{number}",
                path=path.name,
                split="train",
                speaker=f"flite:{voice}",
                source="flite",
                text=text,
                text_style="cased, punctuated",
                sample_rate=16000,
                seconds=length_of(path)[0],
                licence="synthetic speech, free of rights",
            )
        )
    write_manifest(speech, records)
    model = SpeakerConfig(text_width=32, text_blocks=1, width=64, blocks=2, voice=16)
    run = SpeakerRun(model=model, size=4, steps=36, lr=4e-3, ema=0.9, voices=(("default", "flite:slt", 1.0),))
    clips = manifest.recordings(speech, "train", lang="en")
    made = features(clips, folder / "cache", model.mel)
    make_alignments(clips, made, folder / "cache", model.mel, steps=15, sentences=8, say=say)
    batches = prepare(speech, folder / "cache", run, say)
    torch.manual_seed(run.seed)
    before = measure(SpeakTask(model.build(), len(batches.speakers)), batches)["held_mel"]
    task = make(run, speech, folder, say).model
    assert isinstance(task, SpeakTask)
    after = measure(task, batches)["held_mel"]
    speaker: Speaker = load_part(folder, "speaker")
    with torch.no_grad():
        mel = speaker.speak(speaker.plan(script_of(_DEBUG_TEXTS[0]), speaker.preset("default")))
    say(f"mel error {before:.3f} -> {after:.3f}; {mel.shape[1] / 100:.1f} s spoken")
    return {"before": before, "after": after, "frames": float(mel.shape[1])}


def _run(run: SpeakerRun, given: Given) -> None:
    assert given.speech is not None
    make(run, given.speech, given.out, given.say, given.device, given.start)


RECIPE = Recipe(
    part="speaker",
    settings=SpeakerRun(),
    train=_run,
    debug=debug,
    needs={"speech": "people reading, with their texts"},
    takes={"from": "a speaker to go on from"},
)
