"""How FACodec is trained (arXiv:2403.03100 §3.2): against judges, with heads that read pitch, phones and speakers.

Phones are those that a listener finds for the texts of the recordings; where there is no text, nobody knows them.
For ``heads_first`` steps (a third of all at most) the heads learn alone, on vectors that are not quantised and without
sound, which is several times as fast; then the books are begun.
Departs: mel distances are SoundStream's, at a fifteenth of the weight, as they are so much larger; with all of it the
encoder learns nothing of its heads. Vectors and entries of the books have one length, or they run away from each
other; frames are brought to one size before them (see `FacodecConfig`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch

from vivavoce.audio.files import read_audio
from vivavoce.audio.pcm import to_float
from vivavoce.audio.pitch import track_pitch
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, VivavoceError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.data.aligned import aligned
from vivavoce.data.cache import Cache
from vivavoce.data.manifest import Record, recordings
from vivavoce.models.listener import Listener
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.adversarial import CodecGame, beside_control, miniature_of, play
from vivavoce.recipes.codec import decoded
from vivavoce.recipes.codec_data import LEAST_RATE, CropConfig, Crops
from vivavoce.systems.facodec import Facodec, FacodecConfig
from vivavoce.text.phones import PHONE_IDS
from vivavoce.train import Run
from vivavoce.train.recipe import Given, Recipe
from vivavoce.train.tasks.codec import Labels, SoundBatch
from vivavoce.train.tasks.codec_adversarial import AdversarialWeights
from vivavoce.train.tasks.facodec import FacodecPass

_PHONE_RATE = 50
_LEAST_RATIO = -1.5
_ONE_SPEED = CropConfig(frames=80, played_otherwise=0.0)
"""Labels belong to the sound as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacodecRun(CodecGame):
    """Numbers of a run; voices are taken from ``voice_seconds`` of the recording that a crop is cut from, or from the
    crop itself where these are 0."""

    codec: FacodecConfig = FacodecConfig(phones=len(PHONE_IDS), one_length=True, one_size=True)
    crops: CropConfig = _ONE_SPEED
    judges: DiscriminatorConfig = DiscriminatorConfig(periods=(2, 3, 5, 7, 11))
    weights: AdversarialWeights = AdversarialWeights(
        wave=0.0, mel=1.0, adversarial=1.0, features=1.0, balanced=False, game="squares", judged=1.0
    )
    voice_seconds: float = 4.0
    heads_first: int = 500
    lr: float = 1e-4


def labelled(
    clips: Sequence[Record], codec: FacodecConfig, listener: Listener, digest: str, folder: Path,
    say: Callable[[str], None],
) -> Cache:  # fmt: skip
    """Height and presence of the pitch, and the phone, of every frame of the clips (-1: unknown); made once."""
    rate = float(codec.rate)

    def one(clip: Record) -> dict[str, np.ndarray]:
        wave = read_audio(clip.file, codec.sample_rate, allow_silent=True)[0]
        pitch = track_pitch(wave, codec.sample_rate, hop_seconds=1 / rate, centre_seconds=0.5 / rate)
        height = torch.where(pitch.voiced, (pitch.hz / max(pitch.median(), 1.0)).clamp(min=1e-3).log2(), 0.0)
        phones = np.full(len(height), -1, np.int16)
        try:
            found, score = aligned(listener, wave, clip.text or "")
            if score > _LEAST_RATIO:
                places = ((np.arange(len(height)) + 0.5) * _PHONE_RATE / rate).astype(int)
                phones = found.labels.numpy()[np.minimum(places, len(found.labels) - 1)].astype(np.int16)
        except VivavoceError as error:
            say(f"{clip.id}: its phones stay unknown ({error})")
        return {"height": height.numpy(), "voiced": pitch.voiced.float().numpy(), "phones": phones}

    def make() -> Iterator[dict[str, np.ndarray]]:
        for number, clip in enumerate(clips):
            yield one(clip)
            if (number + 1) % 200 == 0:
                say(f"labelled {number + 1} of {len(clips)} clips")

    about = {"rate": str(codec.rate), "sample_rate": codec.sample_rate, "listener": digest, "form": 1}
    return Cache.of(folder / "labels", about | {"aligner": dump(listener.config)}, [clip.file for clip in clips], make)


@final
class Labelling:
    """What is known of crops, from caches of the clips they are cut from."""

    def __init__(self, labels: Cache, sound: Cache, clips: Sequence[Record], frames: int, samples: int) -> None:
        """``frames`` of a crop, ``samples`` that a voice is taken from; 0: the crop's own."""
        self._labels, self._sound, self._frames, self._samples = labels, sound, frames, samples
        self.speakers = {name: number for number, name in enumerate(sorted({clip.speaker for clip in clips}))}
        self._who = [self.speakers[clip.speaker] for clip in clips]

    def __call__(self, places: Sequence[tuple[int, int]]) -> Labels:
        """Of crops that begin at a frame of a clip each; a clip that is too short for its voice is repeated."""
        rows: dict[str, list[np.ndarray]] = {"height": [], "voiced": [], "phones": []}
        for clip, frame in places:
            for name, value in self._labels[clip].items():
                piece = value[frame : frame + self._frames].astype(np.float32)
                nothing = -1.0 if name == "phones" else 0.0
                rows[name].append(np.pad(piece, (0, self._frames - len(piece)), constant_values=nothing))
        height, voiced, phones = (torch.from_numpy(np.stack(rows[name])) for name in ("height", "voiced", "phones"))
        whole = None
        if self._samples:
            waves = [np.resize(to_float(self._sound[clip]["wave"]), self._samples) for clip, _ in places]
            whole = torch.from_numpy(np.stack(waves))[:, None]
        speakers = torch.tensor([self._who[clip] for clip, _ in places])
        return Labels(height, voiced, phones.long(), speakers, whole)


def train(
    run: FacodecRun,
    speech: Path,
    folder: Path,
    *,
    start: Path | None = None,
    listener: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = print,
) -> Run:
    """Writes the part ``codec`` into ``folder``; ``listener`` is a folder with one (the bundled one if left out)."""
    if run.heads_first and run.crops.batch * run.crops.frames < run.codec.size:
        raise ConfigError(
            f"a batch has {run.crops.batch * run.crops.frames} frames, too few to begin books of {run.codec.size} "
            "entries by; set a larger crops.batch or crops.frames, or a smaller codec.size"
        )
    clips, kept = recordings(speech, "train", least_rate=LEAST_RATE), cache or folder
    part, sound = load_part(listener or BUNDLED, "listener"), decoded(clips, run.codec.sample_rate, kept)
    known = labelled(clips, run.codec, part, str(listener or "bundled"), kept, say)
    samples = round(run.voice_seconds * float(run.codec.rate)) * run.codec.hop
    labels = Labelling(known, sound, clips, run.crops.frames, samples)
    codec = replace(run.codec, speakers=len(labels.speakers))
    crops = Crops(replace(run.crops, played_otherwise=0.0), codec, clips, sound, None, run.seed, labels=labels)
    first = min(run.heads_first, run.steps // 3)
    passes = FacodecPass(first)

    def begin(codec: Facodec, batch: SoundBatch) -> None:
        codec.start(batch.wave[:, None], codec.mel_of(batch.wave))
        codec.begun.fill_(int(first == 0))

    return play(
        run, codec, crops, speech, folder, passes=passes, after=passes.after, begin=begin, start=start, device=device
    )


def debug(folder: Path) -> dict[str, float]:
    """In half a minute: the mel distance beside that of a control that hardly learnt."""
    net = SeanetConfig(
        dim=16, channels=2, strides=(2, 4, 5, 5), residuals=1, compress=1, activation="snake", causal=False,
        trim="both", last_kernel=7,
    )  # fmt: skip
    timbre = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=32, window=4000, causal=False)
    codec = FacodecConfig(net=net, timbre=timbre, size=16, code_dim=4, phones=len(PHONE_IDS))
    small = miniature_of(FacodecRun(voice_seconds=1.0, heads_first=10), codec=codec)
    speech = miniature.recordings(folder / "speech")
    return beside_control(lambda out, run: train(run, speech, out, cache=folder), folder, small)


def _run(run: FacodecRun, given: Given) -> None:
    assert given.speech is not None
    others = given.others
    train(
        run, given.speech, given.out, start=given.start, listener=others.get("listener"), cache=others.get("cache"),
        device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="codec",
    settings=FacodecRun(),
    train=_run,
    debug=debug,
    needs={"speech": "recordings at 16 kHz and more, with texts"},
    takes={
        "from": "a codec to go on from",
        "listener": "a folder with the listener that finds the phones; the bundled one if left out",
        "cache": "where decoded sound is kept",
    },
)
