"""Batches of utterances for a recogniser of phones: groups by shares of audio time, augmented at every pass."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from vivavoce.audio.augment import AugmentConfig, augment, stretched
from vivavoce.core import rng
from vivavoce.data.packed import UNKNOWN, Packed

_EDGES = (0, 150, 200, 250, 300, 360, 430, 520, 640, 800, 1000, 1250, 1600)


@dataclass(frozen=True, slots=True)
class PhoneBatch:
    """Utterances padded at the end; a label is the phone of two mel frames, or `packed.UNKNOWN`."""

    mel: Float[Tensor, "B M T"]
    lengths: Int[Tensor, " B"]
    labels: UInt8[Tensor, "B L"]
    phones: Int[Tensor, "B P"]
    n_phones: Int[Tensor, " B"]
    seconds: float = 0.0


class Mixture:
    """Batches of equal audio time, utterances of like length together, groups by shares; a function of the step.

    All features lie on the device, and a batch is cut out and augmented there.
    """

    def __init__(
        self,
        packs: Mapping[str, Packed],
        shares: Mapping[str, float],
        config: AugmentConfig,
        *,
        frames: int,
        soft: float = 1.0,
        harden: int = 0,
        seed: int = 1,
        device: str | torch.device = "cpu",
    ) -> None:
        """``frames`` are in each batch; groups with no share are left out.

        Augmentation begins at the strength ``soft`` and is whole after ``harden`` steps.
        """
        self.config, self.batch_frames, self.seed = config, frames, seed
        self.soft, self.harden, self.device = soft, harden, torch.device(device)
        known = [(packed, shares[name]) for name, packed in packs.items() if shares.get(name)]
        rows = [0, *(len(packed.frames) for packed, _ in known)]
        labels = [0, *(len(packed.labels) for packed, _ in known)]
        phones = [0, *(len(packed.phones) for packed, _ in known)]
        chance, begins, sizes = [], [], []
        for place, (packed, share) in enumerate(known):
            size = packed.lengths()
            usable = (size >= 40) & (size <= _EDGES[-1])
            chance.append(usable * (share / float(size[usable].sum())))
            offsets = (sum(rows[: place + 1]), sum(labels[: place + 1]), sum(phones[: place + 1]))
            each = (packed.begins, packed.label_begins, packed.phone_begins)
            begins.append(torch.stack([own[:-1] + offset for own, offset in zip(each, offsets, strict=True)], dim=1))
            sizes.append(torch.stack([own.diff() for own in each], dim=1))
        self.frames = torch.cat([packed.frames for packed, _ in known]).to(self.device)
        self.labels = torch.cat([packed.labels for packed, _ in known]).to(self.device)
        end = torch.zeros(1, dtype=torch.uint8)  # for batches in which nobody says anything
        self.phones = torch.cat([*(packed.phones for packed, _ in known), end]).to(self.device)
        background = packs.get("background")
        self.background = None if background is None else background.frames.to(self.device)
        self.begins, self.sizes = torch.cat(begins), torch.cat(sizes)
        every = torch.cat(chance).double()
        place = torch.bucketize(self.sizes[:, 0].contiguous(), torch.tensor(_EDGES[1:]))
        self.buckets = [((place == b) & (every > 0)).nonzero()[:, 0] for b in range(len(_EDGES) - 1)]
        self.chances = [every[bucket] for bucket in self.buckets]
        weight = [float((c * self.sizes[b, 0]).sum()) for b, c in zip(self.buckets, self.chances, strict=True)]
        self.weight = torch.tensor(weight, dtype=torch.double)

    def __call__(self, step: int) -> PhoneBatch:
        """The batch of a step."""
        draw = rng.torch_stream(self.seed, "batch", step)
        bucket = int(torch.multinomial(self.weight, 1, generator=draw))
        rows = max(self.batch_frames // _EDGES[bucket + 1], 2)
        chosen = self.buckets[bucket][torch.multinomial(self.chances[bucket], rows, replacement=True, generator=draw)]
        strength = min(self.soft + (1 - self.soft) * step / max(self.harden, 1), 1.0)
        harsh = self.config.softened(strength)
        frames, labels, phones = self.sizes[chosen].unbind(1)
        tempo = 1 + harsh.tempo * (2 * torch.rand(rows, generator=draw) - 1)
        # Fast speech with many phones must keep more distributions than phones.
        lengths = (frames * torch.maximum(tempo, 3.0 * phones / frames)).round().long().clamp(min=1)
        there = torch.Generator(self.device).manual_seed(int(torch.randint(2**62, (), generator=draw)))
        begins, frames, labels, sizes, counts = (
            tensor.to(self.device) for tensor in (self.begins[chosen], frames, labels, lengths, phones)
        )
        mel = stretched(self.frames, begins[:, 0], frames, sizes).float()
        place = torch.arange(-(-mel.shape[2] // 2), device=self.device)[None]
        halves = (-(-sizes // 2))[:, None]
        at = torch.minimum((place * labels[:, None]) // halves, labels[:, None] - 1)
        label = self.labels[begins[:, 1:2] + at].masked_fill(place >= halves, UNKNOWN)
        place = torch.arange(max(int(phones.max()), 1), device=self.device)[None]
        said = self.phones[(begins[:, 2:] + place).clamp(max=len(self.phones) - 1)]
        return PhoneBatch(
            mel=augment(mel, sizes, harsh, there, self.background),
            lengths=sizes,
            labels=label,
            phones=said.long().masked_fill(place >= counts[:, None], 0),
            n_phones=counts,
            seconds=float(lengths.sum()) / self.config.frame_rate,
        )
