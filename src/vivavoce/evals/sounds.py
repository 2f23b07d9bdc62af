"""Whether sounds that were made from words are what the words say, by a judge that shares nothing with their maker.

The judge is a linear classifier of a few statistics of log-mel frames, trained on sounds that are made by signal
processing (`data.scenes`) and measured on others of them first: no maker can be expected to do better.
"""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core import rng
from vivavoce.data.scenes import SCENES, scene
from vivavoce.evals.intervals import share
from vivavoce.evals.report import Report, Row, Table
from vivavoce.generate.diffusion import Solver
from vivavoce.systems.audioldm import AudioLdm

_CHANCE = f"{100 / len(SCENES):.1f} %"


@final
class Judge:
    """Names one of the scenes."""

    def __init__(self, sample_rate: int, seconds: float, *, each: int = 100, seed: int = 0) -> None:
        """Learns from ``each`` sounds of every scene, as long as those that it will hear."""
        hop = sample_rate // 100
        top = min(8000.0, sample_rate / 2)
        self._mel = LogMelConfig(
            sample_rate=sample_rate, bins=40, hop=hop, window=2 * hop, n_fft=1024, fmax=top
        ).build()
        self.sample_rate, self.samples = sample_rate, int(sample_rate * seconds)
        waves, names = self.sounds(each, "judge", seed)
        seen = self._statistics(waves)
        self._mean, self._spread = seen.mean(0), seen.std(0).clamp(min=1e-3)
        self._net = nn.Linear(seen.shape[1], len(SCENES))
        nn.init.zeros_(self._net.weight)
        nn.init.zeros_(self._net.bias)
        level = (seen - self._mean) / self._spread
        optimizer = torch.optim.LBFGS(self._net.parameters(), max_iter=60, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            far = nn.functional.cross_entropy(self._net(level), names) + 0.01 * self._net.weight.square().sum()
            far.backward()
            return far

        with torch.enable_grad():
            optimizer.step(loss)

    def sounds(self, each: int, name: str, seed: int) -> tuple[Float[Tensor, "B N"], Int[Tensor, " B"]]:
        """So many sounds of every scene, and which they are; other names give other ones."""
        made = [
            scene(kind, self.samples, self.sample_rate, rng.stream(seed, name, kind, number))
            for kind in SCENES
            for number in range(each)
        ]
        return torch.stack(made), torch.arange(len(SCENES)).repeat_interleave(each)

    @torch.no_grad()
    def __call__(self, waves: Float[Tensor, "B N"]) -> Int[Tensor, " B"]:
        """What each is, by its place in `SCENES`."""
        return self._net((self._statistics(waves) - self._mean) / self._spread).argmax(1)

    @torch.no_grad()
    def _statistics(self, waves: Float[Tensor, "B N"]) -> Float[Tensor, "B D"]:
        """Mean, spread and change of every bin, whatever the level."""
        waves = 0.1 * waves / waves.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        mel = torch.cat([self._mel(some) for some in waves.split(32)])
        change = mel.diff(dim=2)
        return torch.cat((mel.mean(2), mel.std(2), change.abs().mean(2), change.std(2)), 1)


def measure(
    maker: AudioLdm, *, each: int = 20, seed: int = 0, steps: int = 50, guidance: float = 2.5, candidates: int = 3,
    solver: Solver = "ddim",
) -> Report:  # fmt: skip
    """Asks for every scene ``each`` times, in all the words for it, and has the judge name what comes."""
    sound = maker.model.config.sound
    judge = Judge(sound.mel.sample_rate, maker.seconds, seed=seed)
    true, known = judge.sounds(each, "held out", seed)
    words = [SCENES[name][number % len(SCENES[name])] for name in SCENES for number in range(each)]
    made = _asked(maker, words, seed, steps, guidance, candidates, solver)
    with torch.no_grad():
        kept = torch.cat([_copied(maker, some) for some in true[:, : sound.samples].split(8)])
    found = judge(made)
    dice = torch.from_numpy(rng.stream(seed, "shuffled").permutation(len(known)))
    table = Table("Sounds that the judge names as the words say")
    real, copied = share((judge(true) == known).tolist()), share((judge(kept) == known).tolist())
    table.rows += [
        Row(name="sounds by signal processing, held out", value=real, remark="what the judge can do"),
        Row(name="the same through autoencoder and vocoder", value=copied, remark="what the maker can sound like"),
        Row(name="made from words", value=share((found == known).tolist()), floor="80 %"),
        Row(name="made from words, words shuffled", value=share((found == known[dice]).tolist()), remark=_CHANCE),
    ]
    scenes = Table("Each scene")
    for number, name in enumerate(SCENES):
        right = (found == number)[known == number]
        mistaken = found[known == number].bincount(minlength=len(SCENES))
        scenes.rows.append(Row(name=name, value=share(right.tolist()), remark=_named(mistaken)))
    about = {"each": each, "seed": seed, "steps": steps, "guidance": guidance, "candidates": candidates}
    return Report("sounds", about, [table, scenes])


def _named(counts: Int[Tensor, " S"]) -> str:
    """What sounds were taken for, most often first."""
    order = counts.argsort(descending=True)
    return ", ".join(f"{list(SCENES)[place]} {int(counts[place])}" for place in order.tolist() if counts[place])


def _asked(
    maker: AudioLdm, words: Sequence[str], seed: int, steps: int, guidance: float, candidates: int, solver: Solver
) -> Float[Tensor, "B N"]:
    """Sounds for all words, a few at a time."""
    made = []
    for begin in range(0, len(words), 8):
        some = words[begin : begin + 8]
        seeds = [seed * 100_000 + begin + number for number in range(len(some))]
        made.append(
            maker.make(
                some, seeds=seeds, steps=steps, guidance=guidance, candidates=candidates, solver=solver
            ).data[:, 0]
        )  # fmt: skip
    return torch.cat(made)


def _copied(maker: AudioLdm, waves: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Sounds through everything but the net."""
    sound = maker.model.sound
    frames = sound.vae.decode(sound.vae.encode(sound.frames(waves)).mean)
    return maker.vocoder(sound.frames.back(frames))
