"""Tokens as files: a recording becomes codes in an ``.npz``, codes become sound again, and both can be looked at.

The file holds the stream with its spec, whose alphabet is a digest, since ids mean nothing to another codec.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vivavoce.audio.files import read_audio
from vivavoce.audio.stft import hann
from vivavoce.core import config as configs
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.streams import Stream, Tokens, sound, whole
from vivavoce.data.manifest import Record, read_manifest
from vivavoce.data.tokens import Encode, add_stream
from vivavoce.losses.spectral import log_floor, magnitudes
from vivavoce.models.codec import Codec
from vivavoce.text.tokenizers import PhoneTokenizer

_SHOWN_WINDOW = 1024


@dataclass(frozen=True, slots=True)
class Coded:
    """A recording as tokens."""

    codes: Stream[Tokens]
    samples: int  # length of the sound that they stand for

    def save(self, path: Path) -> None:
        """Writes an ``.npz``, whole or not at all."""
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            spec = json.dumps(configs.dump(self.codes.spec))
            codes = self.codes.data[0].numpy().astype(np.uint16)
            np.savez_compressed(file, codes=codes, samples=self.samples, spec=spec)


def encode(codec: Codec, path: Path) -> Coded:
    """A sound file of any length as tokens; AudioError when it is not usable sound."""
    wave = read_audio(path, codec.config.sample_rate, allow_silent=True)[0]
    return Coded(codec.encode(sound(wave, codec.config.sample_rate)), len(wave))


def decode(codec: Codec, coded: Coded, books: int | None = None) -> Float[Tensor, " N"]:
    """The sound of tokens, aligned with what was encoded; fewer books give a rougher one (SpecError for more)."""
    known = coded.codes.spec.books
    if books is not None and not 1 <= books <= known:
        raise SpecError(f"{books} books were asked for and the tokens have {known}; use 1 to that many")
    return codec.decode(coded.codes.part(0, books or known)).data[0, 0, : coded.samples]


def load(codec: Codec, path: Path) -> Coded:
    """Tokens from a file that `Coded.save` wrote. Raises SpecError when it is none, or belongs to another codec."""
    wanted = codec.tokens
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            data, samples = torch.from_numpy(file["codes"].astype(np.int64)), int(file["samples"])
            spec = configs.load(json.loads(str(file["spec"]))) if "spec" in file else _earlier(codec, file)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, ConfigError) as error:
        raise SpecError(f"{path} is no token file that can be read; make one with: vivavoce tokens encode") from error
    if spec != wanted:
        raise SpecError(
            f"{path} has {spec}, wanted {wanted}; encode the recording again, or decode with --model and the folder of "
            "the codec that made it"
        )
    if data.dim() != 2 or data.shape[0] != spec.books or data.numel() == 0 or int(data.max()) >= spec.size:
        raise SpecError(f"{path} has codes {tuple(data.shape)}, wanted {spec.books} books of ids below {spec.size}")
    return Coded(whole(spec, data[None]), samples)


def _earlier(codec: Codec, file: np.lib.npyio.NpzFile) -> Tokens:
    """The spec of a file of the first form, which names its codec by eight digits of the books' digest."""
    found = codec.quantizer.deciding()
    entries = torch.cat([value for name, value in found.items() if name.rpartition(".")[2] == "entries"])
    digest = hashlib.sha256(entries.half().numpy().tobytes()).hexdigest()[:8]
    spec = codec.tokens
    return spec if str(file["digest"]) == digest else replace(spec, alphabet=f"{file['alphabet']}-{file['digest']}")


def corpus(speech: Path, parts: Sequence[str], out: Path, say: Callable[[str], None] = print) -> None:
    """The recordings of a manifest as a token corpus (`data.tokens`), a stream per part.

    A part is a folder with a codec, or ``phones`` for those of the texts. What is made already and fits is kept.
    """
    records = read_manifest(speech / "manifest.jsonl")
    for part in parts:
        spec, encoded = _encoder(part)
        made = add_stream(out, records, spec, _told(encoded, len(records), spec.name, say))
        say(f"{out / spec.name}: {len(made)} utterances of {spec.alphabet}")


def _encoder(part: str) -> tuple[Tokens, Encode]:
    """What a part makes of a recording."""
    if part == "phones":
        phones = PhoneTokenizer()
        return phones.tokens, lambda record: phones.encode([record.text or ""]).data[0]
    codec: Codec = load_part(part, "codec")
    return codec.tokens, lambda record: encode(codec, record.file).codes.data[0]


def _told(
    make: Callable[[Record], Tensor], count: int, name: str, say: Callable[[str], None]
) -> Callable[[Record], Tensor]:
    done = 0

    def encoded(record: Record) -> Tensor:
        nonlocal done
        done += 1
        if done % 500 == 0:
            say(f"{name}: {done} of {count}")
        return make(record)

    return encoded


def draw(codec: Codec, wave: Float[Tensor, " N"], coded: Coded, path: Path) -> None:
    """A picture of a recording: waveform, spectrogram and the token streams on one time axis."""
    from matplotlib.figure import Figure

    config, codes = codec.config, coded.codes.data[0]
    rate, seconds = config.sample_rate, len(wave) / config.sample_rate
    figure = Figure(figsize=(min(max(6.0, 2.5 * seconds), 40.0), 7.5), layout="constrained")
    sounding, spectrum, tokens = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    sounding.plot(np.arange(len(wave)) / rate, wave.numpy(), linewidth=0.4)
    sounding.set_ylabel("wave")
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
    books, frames = codes.shape
    end = frames / float(config.rate)
    tokens.imshow(
        codes.numpy(), aspect="auto", extent=(0, end, books - 0.5, -0.5), cmap="twilight", interpolation="nearest"
    )
    tokens.set_yticks(range(books), ["meaning", *(f"detail {book}" for book in range(1, books))])
    tokens.set_xlabel(
        f"seconds; {float(config.rate):g} frames/s of {books} ids below {config.size} = "
        f"{float(config.rate) * books * np.log2(config.size) / 1000:.1f} kbit/s"
    )
    tokens.set_xlim(0, max(seconds, end))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
