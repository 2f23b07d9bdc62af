"""Tokens as files: a recording becomes codes in an ``.npz``, codes become sound again, and both can be looked at.

The file names the alphabet and a digest of the books, since ids mean nothing to another codec.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.audio.files import mono, pad_to, read_audio
from vivavoce.audio.stft import hann
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import SpecError
from vivavoce.losses.spectral import log_floor, magnitudes
from vivavoce.models.codec import Codec

_PIECE_FRAMES = 250
_SHOWN_WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Coded:
    """A recording as tokens."""

    codes: Int[Tensor, "K T"]
    samples: int  # length of the sound that they stand for
    digest: str

    def save(self, path: Path, codec: Codec) -> None:
        """Writes an ``.npz``, whole or not at all."""
        spec = codec.config.tokens
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                codes=self.codes.numpy().astype(np.uint16),
                samples=self.samples,
                sample_rate=codec.config.mel.sample_rate,
                alphabet=spec.alphabet,
                size=spec.size,
                rate=np.array([codec.config.rate.numerator, codec.config.rate.denominator]),
                digest=self.digest,
            )


def digest_of(codec: Codec) -> str:
    """Eight letters that change with the books."""
    entries = torch.cat((codec.quantizer.semantic.entries, codec.quantizer.acoustic.entries))
    return hashlib.sha256(entries.half().numpy().tobytes()).hexdigest()[:8]


@torch.no_grad()
def encode(codec: Codec, path: Path) -> Coded:
    """A sound file of any length as tokens; one frame of silence follows, which pushes the end out when decoding.

    Raises AudioError when it is not usable sound.
    """
    wave = mono(read_audio(path, codec.config.mel.sample_rate, allow_silent=True)[0])
    padded = pad_to(torch.nn.functional.pad(wave[None], (0, codec.delay)), codec.config.hop)
    state = codec.init_encode(1)
    pieces = padded.split(_PIECE_FRAMES * codec.config.hop, dim=1)
    codes = torch.cat([codec.encode_step(piece, state) for piece in pieces], dim=2)[0]
    return Coded(codes, len(wave), digest_of(codec))


@torch.no_grad()
def decode(codec: Codec, coded: Coded, books: int | None = None) -> Float[Tensor, " N"]:
    """The sound of tokens, aligned with what was encoded; fewer books give a rougher one (SpecError for more)."""
    if books is not None and not 1 <= books <= len(coded.codes):
        raise SpecError(f"{books} books were asked for and the tokens have {len(coded.codes)}; use 1 to that many")
    frames = coded.codes[None, : books or codec.config.books]
    state = codec.init_decode(1)
    wave = torch.cat([codec.decode_step(piece, state) for piece in frames.split(_PIECE_FRAMES, dim=2)], dim=1)[0]
    return wave[codec.delay : codec.delay + coded.samples]


def load(codec: Codec, path: Path) -> Coded:
    """Tokens from a file that `Coded.save` wrote. Raises SpecError when it is none, or belongs to another codec."""
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = {name: file[name] for name in ("codes", "samples", "alphabet", "size", "rate", "digest")}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SpecError(f"{path} is no token file that can be read; make one with: vivavoce tokens encode") from error
    spec = codec.config.tokens
    digest, rate = str(found["digest"]), Fraction(int(found["rate"][0]), int(found["rate"][1]))
    if (str(found["alphabet"]), int(found["size"]), rate) != (spec.alphabet, spec.size, spec.rate):
        raise SpecError(
            f"{path} has tokens of {found['alphabet']} ({found['size']} ids, {rate} frames/s), wanted {spec.alphabet} "
            f"({spec.size} ids, {spec.rate} frames/s); decode with the codec that made them"
        )
    if digest != digest_of(codec):
        raise SpecError(
            f"{path} was made with other weights of {spec.alphabet} ({digest}, these are {digest_of(codec)}); "
            "encode the recording again, or decode with --model and the folder of those weights"
        )
    codes = torch.from_numpy(found["codes"].astype(np.int64))
    if codes.dim() != 2 or codes.shape[0] != spec.books or codes.numel() == 0 or int(codes.max()) >= spec.size:
        raise SpecError(f"{path} has codes {tuple(codes.shape)}, wanted {spec.books} books of ids below {spec.size}")
    return Coded(codes, int(found["samples"]), digest)


def draw(codec: Codec, wave: Float[Tensor, " N"], coded: Coded, path: Path) -> None:
    """A picture of a recording: waveform, spectrogram and the token streams on one time axis."""
    from matplotlib.figure import Figure

    config = codec.config
    rate, seconds = config.mel.sample_rate, len(wave) / config.mel.sample_rate
    figure = Figure(figsize=(min(max(6.0, 2.5 * seconds), 40.0), 7.5), layout="constrained")
    sound, spectrum, tokens = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    sound.plot(np.arange(len(wave)) / rate, wave.numpy(), linewidth=0.4)
    sound.set_ylabel("wave")
    padded = torch.nn.functional.pad(wave[None], (0, _SHOWN_WINDOW))
    picture = log_floor(magnitudes(padded, hann(_SHOWN_WINDOW)))[0].T
    spectrum.imshow(
        picture.numpy(),
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, rate / 2000),
        cmap="magma",
        vmin=-7,
        vmax=4,
    )
    spectrum.set_ylabel("kHz")
    books, frames = coded.codes.shape
    end = frames / float(config.rate)
    tokens.imshow(
        coded.codes.numpy(), aspect="auto", extent=(0, end, books - 0.5, -0.5), cmap="twilight", interpolation="nearest"
    )
    tokens.set_yticks(range(books), ["meaning", *(f"detail {book}" for book in range(1, books))])
    tokens.set_xlabel(
        f"seconds; {float(config.rate):g} frames/s of {books} ids below {config.size} = "
        f"{float(config.rate) * books * np.log2(config.size) / 1000:.1f} kbit/s"
    )
    tokens.set_xlim(0, max(seconds, end))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
