"""When each phone of the recordings is spoken: an aligner that begins with flite and then learns from its own work.

Round 0 is trained on flite, which tells its phones' times. Every later round is trained on the real speech as the round
before aligned it. Recordings without text are labelled with the best path through any phones.
"""

import itertools
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from vivavoce.audio.files import read_audio
from vivavoce.audio.formants import warp
from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import MissingExtra, SpecError
from vivavoce.core.rng import stream
from vivavoce.data.aligned import forms_of
from vivavoce.data.features import Features
from vivavoce.data.manifest import Record
from vivavoce.nn.align import FrameClassifier, FrameClassifierConfig, Span, align, decode, lattice
from vivavoce.text.phones import PHONE_IDS, PHONES
from vivavoce.train.precision import bf16_pays

FLITE_VOICES = ("rms", "slt", "awb", "kal16", "kal")
_FROM_FLITE = {"ax": "AH", "pau": "SIL", "axr": "ER", "ssil": "SIL"}
Labelled = tuple[Float[Tensor, "_ M"], np.ndarray]  # mel and the phone of each frame, -1 where not known


def run_flite(text: str, voice: str, path: Path) -> str:
    """Has flite read a text into a file; gives what it prints: each phone and when it ended."""
    command = ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(path)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError as error:
        raise MissingExtra("the aligner begins with flite; install it with: apt-get install flite") from error


def spoken_by_flite(texts: Sequence[str], voices: Sequence[str], mel: LogMelConfig) -> list[Labelled]:
    """Texts read by flite, voice after voice, with the phones' times."""
    logmel = mel.build()
    made = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        for number, text in enumerate(texts):
            printed = run_flite(text, voices[number % len(voices)], path)
            frames = logmel(read_audio(path, mel.sample_rate)[0][None])[0].T
            labels = np.full(len(frames), -1)
            begin = 0.0
            for mark in printed.split():
                name, _, until = mark.rpartition(":")
                end = float(until)
                labels[_frame(begin, mel) : _frame(end, mel)] = PHONE_IDS[_FROM_FLITE.get(name, name.upper())]
                begin = end
            made.append((frames, labels))
    return made


def _frame(seconds: float, mel: LogMelConfig) -> int:
    """The frame whose window is centred at this time."""
    return max(0, round((seconds * mel.sample_rate + mel.window / 2) / mel.hop) - 1)


def train_classifier(
    data: Sequence[Labelled],
    *,
    steps: int,
    model: FrameClassifier | None = None,
    batch: int = 16,
    frames: int = 300,
    lr: float = 2e-3,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> FrameClassifier:
    """Trains on random pieces, warped along frequency by up to 15 % so that few voices stand for many."""
    model = model or FrameClassifierConfig(phones=len(PHONES)).build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    lengths = np.array([len(mel) for mel, _ in data], dtype=float)
    random = stream(seed, "aligner")
    model.train()
    mean = 0.0
    for step in range(steps):
        mels, labels = [], []
        for index in random.choice(len(data), batch, p=lengths / lengths.sum()):
            mel, phones = data[index]
            start = random.integers(0, max(1, len(mel) - frames + 1))
            piece = warp(mel[start : start + frames], round(float(random.uniform(0.86, 1.16)), 2))
            short = frames - len(piece)
            mels.append(torch.nn.functional.pad(piece, (0, 0, 0, short), value=float(piece.min())))
            labels.append(np.pad(phones[start : start + frames], (0, short), constant_values=-1))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays("cpu")):
            logits = model(torch.stack(mels))
        loss = cross_entropy(
            logits.float().flatten(0, 1),
            torch.from_numpy(np.stack(labels)).flatten(),
            ignore_index=-1,
            label_smoothing=0.05,
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean = 0.98 * mean + 0.02 * float(loss.detach())
        if step % 100 == 99:
            say(f"aligner step {step + 1}/{steps}  loss {mean / (1 - 0.98 ** (step + 1)):.3f}")
    return model.eval()


def scores_of(model: FrameClassifier, mel: Float[Tensor, "T M"], prior: Float[Tensor, " V"]) -> Float[Tensor, "T V"]:
    """Log-likelihoods up to a constant: the classifier's log-probabilities less those of the phones as such."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays("cpu")):
        logits = model(mel[None])[0]
    return logits.float().log_softmax(dim=-1) - prior


def prior_of(data: Sequence[Labelled]) -> Float[Tensor, " V"]:
    """Log-share of each phone among labelled frames, half weighted."""
    counts = torch.ones(len(PHONES))
    for _, labels in data:
        counts += torch.from_numpy(np.bincount(labels[labels >= 0], minlength=len(PHONES)))
    return 0.5 * (counts / counts.sum()).log()


def align_clips(
    model: FrameClassifier,
    prior: Float[Tensor, " V"],
    clips: Sequence[Record],
    made: Features,
    say: Callable[[str], None] = print,
) -> dict[int, tuple[list[Span], float]]:
    """Spans and score of every clip that has text; clips that cannot be what the text says are left out."""
    found = {}
    for number, clip in enumerate(clips):
        if clip.text is None:
            continue
        try:
            found[number] = align(scores_of(model, made.mel_of(number), prior), lattice(forms_of(clip.text)))
        except SpecError as error:
            say(f"{clip.id}: {error}")
    return found


def label_clips(
    model: FrameClassifier,
    prior: Float[Tensor, " V"],
    clips: Sequence[Record],
    made: Features,
    known: dict[int, tuple[list[Span], float]],
) -> dict[int, tuple[list[Span], float]]:
    """Spans of the clips without text, by phones that follow each other as they do in the others."""
    pairs = torch.ones(len(PHONES), len(PHONES))
    for spans, _ in known.values():
        for a, b in itertools.pairwise(spans):
            pairs[a.phone, b.phone] += 1
    follows = (pairs / pairs.sum(dim=1, keepdim=True)).log()
    return {
        number: (decode(scores_of(model, made.mel_of(number), prior), follows, switch=1.0), 0.0)
        for number, clip in enumerate(clips)
        if clip.text is None
    }


def labels_of(spans: Sequence[Span], n_frames: int) -> np.ndarray:
    """The phone of each frame."""
    labels = np.full(n_frames, -1)
    for span in spans:
        labels[span.begin : span.end] = span.phone
    return labels


def save_spans(path: Path, spans: dict[int, tuple[list[Span], float]], n_clips: int) -> None:
    """Writes spans and scores of ``n_clips`` clips (those without spans get none)."""
    rows = [torch.tensor(spans[n][0] if n in spans else [], dtype=torch.int32).reshape(-1, 4) for n in range(n_clips)]
    scores = torch.tensor([spans[n][1] if n in spans else -99.0 for n in range(n_clips)])
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    with atomic_write(path) as temporary:
        save_file({"spans": torch.cat(rows), "starts": starts, "scores": scores}, temporary)


def load_spans(path: Path) -> tuple[list[list[Span]], list[float]]:
    """The inverse of `save_spans`."""
    data = load_file(path)
    starts = data["starts"].tolist()
    rows = data["spans"].tolist()
    spans = [[Span(*row) for row in rows[a:b]] for a, b in itertools.pairwise(starts)]
    return spans, data["scores"].tolist()


def make_alignments(
    clips: Sequence[Record],
    made: Features,
    folder: Path,
    mel: LogMelConfig,
    *,
    rounds: int = 1,
    steps: int = 350,
    sentences: int = 350,
    say: Callable[[str], None] = print,
) -> FrameClassifier:
    """Runs the rounds and writes ``spans.safetensors``; gives the last classifier."""
    texts = list(dict.fromkeys(clip.text for clip in clips if clip.text and len(clip.text) > 20))
    texts = [texts[i] for i in stream(0, "flite").permutation(len(texts))[:sentences]]
    said = spoken_by_flite(texts, FLITE_VOICES, mel)
    say(f"flite read {len(said)} sentences, {sum(len(m) for m, _ in said) / 6000:.0f} min")
    data: list[Labelled] = said
    model = train_classifier(data, steps=steps, seed=0, say=say)
    spans: dict[int, tuple[list[Span], float]] = {}
    for number in range(rounds):
        spans = align_clips(model, prior_of(data), clips, made, say)
        score = np.median([s for _, s in spans.values()])
        say(f"round {number}: {len(spans)} clips aligned, median score {score:.3f}")
        real = [(made.mel_of(n), labels_of(s, int(made.starts[n + 1] - made.starts[n]))) for n, (s, _) in spans.items()]
        data = real + said[: len(real) // 10]
        model = train_classifier(data, steps=steps, model=model, lr=1.5e-3, seed=number + 1, say=say)
    spans = align_clips(model, prior_of(data), clips, made, say)
    spans |= label_clips(model, prior_of(data), clips, made, spans)
    save_spans(folder / "spans.safetensors", spans, len(clips))
    return model
