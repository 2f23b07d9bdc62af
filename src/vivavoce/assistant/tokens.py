"""Tokens as files: a recording becomes codes in an ``.npz``, codes become sound again, and both can be looked at.

The file holds the stream with its spec, whose alphabet is a digest, since ids mean nothing to another codec. Its ids
may be entropy-coded by counts or a language model of such tokens, without which nobody can read them.
"""

import hashlib
import json
import struct
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

import vivavoce
from vivavoce.assistant.described import find_folder
from vivavoce.audio.files import read_audio
from vivavoce.audio.stft import hann
from vivavoce.core import config as configs
from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.streams import Stream, Tokens, sound, whole
from vivavoce.data.tokens import kind_of
from vivavoce.generate.entropy_coding import Counts
from vivavoce.generate.entropy_lm import FrameLm
from vivavoce.hub import codecs
from vivavoce.hub.fetch import folder_of
from vivavoce.hub.repository import PREFIX
from vivavoce.losses.spectral import log_floor, magnitudes
from vivavoce.models.codec import Codec
from vivavoce.models.units import Units
from vivavoce.nn.given_book import GivenBook
from vivavoce.nn.quantize import SplitQuantizer
from vivavoce.systems.encodec import ChunkedCodec, ChunkedTokens
from vivavoce.systems.facodec import Facodec, Voiced

_SHOWN_WINDOW = 1024
_SLACK = 1024
"""Frames that a packed file may have beyond its sound: codecs lag, chunks overlap."""
UNITS = ":units"
"""Behind the name of a folder: its units, though it has a codec."""
_VERSION, _PACKED = 2, 3
"""Of the file's form, plain and entropy-coded; earlier ones do not name theirs."""


DAMAGED = (
    OSError, ValueError, TypeError, KeyError, EOFError, SyntaxError, RuntimeError, OverflowError, MemoryError,
    struct.error, zlib.error, zipfile.BadZipFile, tokenize.TokenError, ConfigError,
)  # fmt: skip
"""What is raised while bytes are read that are no token file, or one that was changed: NumPy, zip archives and JSON
each have errors of their own for it (a header that wants more memory than there is, a way of packing that nobody knows,
brackets without end)."""
EntropyCoder = Counts | FrameLm
"""What knows which tokens are likely."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A recording as tokens; of a codec that takes it in chunks also what belongs to each of them, of one that tells
    the voice apart also the voice."""

    codes: Stream[Tokens]
    samples: int  # length of the sound that they stand for
    chunks: ChunkedTokens | None = None
    voice: Float[Tensor, "1 D"] | None = None

    def save(self, path: Path, coder: EntropyCoder | None = None, recording: str = "") -> None:
        """Writes an ``.npz``, whole or not at all; with ``coder`` entropy-coded (SpecError for those of others).

        ``recording`` is the digest of the sound file that it was made of, if there was one.
        """
        data = self.codes.data[0]
        held: dict[str, Any] = {"codes": data.numpy().astype(kind_of(self.codes.spec)), "version": _VERSION}
        if coder is not None:
            packed = np.frombuffer(fitting(coder, self.codes.spec).encode(data), np.uint8)
            held = {"packed": packed, "length": data.shape[1], "coder": coder.alphabet, "version": _PACKED}
            held["check"] = _check(data, self.codes.spec)
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            spec = json.dumps(configs.dump(self.codes.spec))
            beside: dict[str, Any] = {"recording": recording} if recording else {}
            if self.chunks is not None:
                beside |= {"frames": np.array(self.chunks.frames), "loudness": self.chunks.loudness[0].numpy()}
            if self.voice is not None:
                beside["voice"] = self.voice[0].numpy()
            about = {"spec": spec, "made_by": f"vivavoce {vivavoce.__version__}"}
            np.savez_compressed(file, samples=self.samples, **held, **about, **beside)


AnyCodec = Codec | ChunkedCodec | Facodec
Tokenizer = AnyCodec | Units
"""What makes tokens of sound; units alone make no sound of tokens."""


def open_codec(choice: str | Path) -> AnyCodec:
    """The codec of a bundled model, of a folder with our part or with another's weights, or of one that was fetched.

    The last are named ``hf:OWNER/NAME``.

    Raises PartError when it is not there, and says how it is fetched.
    """
    if str(choice).startswith(PREFIX):
        folder = folder_of(str(choice))
        if not folder.is_dir():
            raise PartError(f"{choice} is not on this machine; fetch it: vivavoce models get {choice}")
        return codecs.load(folder)
    folder = find_folder(choice)
    if (folder / "codec.json").exists():
        made = load_part(folder, "codec")
        if not isinstance(made, AnyCodec):
            raise PartError(f"the part 'codec' in {folder} is a {type(made).__name__}; give a folder with a codec")
        return made
    if (folder / "config.json").exists():
        return codecs.load(folder)
    there = "units, which make no sound (units.json)" if (folder / "units.json").exists() else "no codec.json"
    raise PartError(
        f"{choice} holds no codec: there is {there} and no config.json of a published one; give a folder that "
        "`vivavoce train` wrote a codec to, the bundled speech or mini, or hf:OWNER/NAME"
    )


def open_tokenizer(choice: str | Path) -> Tokenizer:
    """What `open_codec` opens, or the units of a folder that holds no codec; ``FOLDER:units`` where it holds both."""
    if str(choice).startswith(PREFIX):
        return open_codec(choice)
    alone = str(choice).endswith(UNITS)
    folder = find_folder(str(choice).removesuffix(UNITS))
    if not alone and (not (folder / "units.json").exists() or (folder / "codec.json").exists()):
        return open_codec(choice)
    made = load_part(folder, "units")
    if not isinstance(made, Units):
        raise PartError(f"the part 'units' in {folder} is a {type(made).__name__}; give a folder with units")
    return made


def sounding(tokenizer: Tokenizer) -> AnyCodec:
    """Itself, if it makes sound of tokens; SpecError for units, which do not."""
    if isinstance(tokenizer, Units):
        raise SpecError("units alone make no sound; decode with --model and the folder of a codec that has them")
    return tokenizer


def plain(tokenizer: Tokenizer) -> Codec | Units | Facodec:
    """The codec or the units themselves, without what cuts recordings into chunks for them."""
    return tokenizer.codec if isinstance(tokenizer, ChunkedCodec) else tokenizer


def checked(tokenizer: Tokenizer, books: int | None) -> Tokens:
    """The tokens that it makes with so many books, or all; SpecError for more than there are."""
    spec = tokenizer.tokens
    if books is None:
        return spec
    if isinstance(tokenizer, Units) and books != 1:
        raise SpecError(f"{books} books were asked for and units have one; leave --books out")
    if isinstance(tokenizer, Facodec) and books != spec.books:
        raise SpecError(f"{books} books were asked for and this codec has {spec.books}; leave --books out")
    if not 1 <= books <= spec.books:
        raise SpecError(f"{books} books were asked for and the codec has {spec.books}; use 1 to that many")
    return spec.first(books)


@torch.no_grad()
def encode(codec: Tokenizer, path: Path, books: int | None = None) -> Coded:
    """A sound file of any length as tokens; AudioError when it is not usable sound.

    Its channels are averaged. SpecError for more books than there are.
    """
    config = plain(codec).config
    checked(codec, books)
    wave = read_audio(path, config.sample_rate, allow_silent=True)[0]
    if isinstance(codec, ChunkedCodec):
        chunks = codec.encode(whole(config.wave, wave.expand(1, config.wave.channels, -1)), books)
        return Coded(chunks.codes, len(wave), chunks)
    if isinstance(codec, Facodec):
        voiced = codec.encode(sound(wave, config.sample_rate), books)
        return Coded(voiced.codes, len(wave), voice=voiced.voice)
    if isinstance(codec, Units):
        return Coded(codec.encode(sound(wave, config.sample_rate)), len(wave))
    return Coded(codec.encode(sound(wave, config.sample_rate), books), len(wave))


@torch.no_grad()
def decode(codec: AnyCodec, coded: Coded, books: int | None = None) -> Float[Tensor, "..."]:
    """The sound of tokens, aligned with what was encoded; fewer books give a rougher one (SpecError for more).

    Float[N], or Float[C, N] where there are several channels.
    """
    known = coded.codes.spec.books
    if books is not None and not 1 <= books <= known:
        raise SpecError(f"{books} books were asked for and the tokens have {known}; use 1 to that many")
    codes = coded.codes.part(0, books or known)
    if isinstance(codec, ChunkedCodec):
        if coded.chunks is None:
            raise SpecError("these tokens do not say how their recording was cut; encode it again with this codec")
        made = codec.decode(replace(coded.chunks, codes=codes)).data[0, :, : coded.samples]
    elif isinstance(codec, Facodec):
        if coded.voice is None or coded.voice.shape[1] != codec.config.net.dim:
            raise SpecError("these tokens do not say whose voice they are; encode the recording again with this codec")
        made = codec.decode(Voiced(codes, coded.voice)).data[0, :, : coded.samples]
    else:
        made = codec.decode(codes).data[0, :, : coded.samples]
    return made[0] if len(made) == 1 else made


def heard(tokenizer: Tokenizer, coded: Coded) -> Float[Tensor, " N"] | None:
    """The sound of tokens as one channel; None of units, which make none."""
    if isinstance(tokenizer, Units):
        return None
    made = decode(tokenizer, coded)
    return made if made.ndim == 1 else made.mean(0)


def open_coder(folder: Path) -> EntropyCoder:
    """What ``train entropy-lm`` or ``train token-counts`` wrote; PartError when there is nothing of the kind."""
    for name in ("token-lm", "token-counts"):
        if (folder / f"{name}.json").exists():
            made = load_part(folder, name)
            if not isinstance(made, EntropyCoder):
                raise PartError(f"the part {name!r} in {folder} is a {type(made).__name__}, which packs no tokens")
            return made
    raise PartError(
        f"{folder} holds nothing that packs tokens; give --pack the folder of `vivavoce train token-counts` or of "
        "`vivavoce train entropy-lm`"
    )


def fitting(coder: EntropyCoder, spec: Tokens) -> EntropyCoder:
    """Itself, if it is a coder of just these tokens; SpecError for one of others."""
    known = coder.config
    if (known.alphabet, known.size, known.books) != (spec.alphabet, spec.size, spec.books):
        raise SpecError(
            f"this coder is of {known.books} books of {known.alphabet} and the tokens have {spec.books} of "
            f"{spec.alphabet}; learn such tokens with: vivavoce train token-counts --with corpus=FOLDER"
        )
    return coder


def _check(codes: Int[Tensor, "K T"], spec: Tokens) -> int:
    return zlib.crc32(codes.numpy().astype(np.dtype(kind_of(spec)).newbyteorder("<")).tobytes())


def _unpacked(file: np.lib.npyio.NpzFile, path: Path, coder: EntropyCoder | None, spec: Tokens, hop: int) -> Tensor:
    """The ids of an entropy-coded file."""
    wanted, length, samples = str(file["coder"]), int(file["length"]), int(file["samples"])
    if coder is None or coder.alphabet != wanted:
        other = "" if coder is None else f", not {coder.alphabet}"
        raise SpecError(f"{path} was packed by {wanted}{other}; name its folder with --pack")
    if not 0 < length <= samples // hop + _SLACK:
        raise SpecError(f"{path} tells of {samples} samples, which {length} frames cannot be; encode it again")
    data = fitting(coder, spec).decode(file["packed"].astype(np.uint8).tobytes(), length)
    if _check(data, spec) != int(file["check"]):
        raise SpecError(
            f"{path} is damaged, or was packed by a language model on a machine whose arithmetic differs: what is "
            "unpacked is not what was packed; encode the recording again"
        )
    return data


def load(codec: Tokenizer, path: Path, coder: EntropyCoder | None = None) -> Coded:
    """Tokens from a file that `Coded.save` wrote, with the coder that packed it, if any did.

    Raises SpecError when it is none, of another tokenizer, or packed by another coder.
    """
    wanted = codec.tokens
    try:
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            if "version" in file and int(file["version"]) > _PACKED:
                raise SpecError(
                    f"{path} is a token file of form {int(file['version'])}, this version reads up to {_PACKED}; "
                    "update vivavoce, or encode the recording again"
                )
            samples = int(file["samples"])
            spec = configs.load(json.loads(str(file["spec"]))) if "spec" in file else _earlier(plain(codec), file)
            if not isinstance(spec, Tokens):
                raise KeyError("spec")
            if "packed" in file:
                data = _unpacked(file, path, coder, spec, plain(codec).config.hop)
            else:
                data = torch.from_numpy(_whole_numbers(file["codes"]))
            frames = tuple(int(count) for count in file["frames"]) if "frames" in file else None
            loudness = torch.from_numpy(_finite(file["loudness"])) if "loudness" in file else None
            voice = torch.from_numpy(_finite(file["voice"]))[None] if "voice" in file else None
    except FileNotFoundError as error:
        raise SpecError(f"there is no file {path}; check the path") from error
    except DAMAGED as error:
        raise SpecError(f"{path} is no token file that can be read; make one with: vivavoce tokens encode") from error
    if not 1 <= spec.books <= wanted.books or spec != wanted.first(spec.books):
        raise SpecError(
            f"{path} has {spec}, wanted {wanted}; encode the recording again, or name with --model the folder of what "
            "made it"
        )
    fits = data.dim() == 2 and data.shape[0] == spec.books and data.numel() > 0
    if not fits or int(data.min()) < 0 or int(data.max()) >= spec.size:
        raise SpecError(f"{path} has codes {tuple(data.shape)}, wanted {spec.books} books of ids below {spec.size}")
    codes, most = whole(spec, data[None]), data.shape[1] * plain(codec).config.hop
    chunks = None if frames is None or loudness is None else ChunkedTokens(codes, frames, loudness[None])
    cut = not isinstance(codec, ChunkedCodec) or chunks is None or chunks.frames == codec.frames_of(samples)
    if not 0 < samples <= most or not cut:
        raise SpecError(f"{path} tells of {samples} samples, which {data.shape[1]} frames cannot be; encode it again")
    return Coded(codes, samples, chunks, voice)


def _whole_numbers(ids: np.ndarray) -> np.ndarray:
    """Ids; ValueError for what is none."""
    if not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(ids.dtype)
    return ids.astype(np.int64)


def _finite(values: np.ndarray) -> np.ndarray:
    """Values beside the ids, in a row; ValueError where some are no numbers."""
    found = values.astype(np.float32)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError(found.shape)
    return found


def _earlier(codec: Codec | Units | Facodec, file: np.lib.npyio.NpzFile) -> Tokens:
    """The spec of a file of the first form, which names its codec by eight digits of the books' digest."""
    if not isinstance(codec, Codec):
        raise KeyError("spec")
    found = codec.quantizer.deciding()
    entries = torch.cat([value for name, value in found.items() if name.rpartition(".")[2] == "entries"])
    digest = hashlib.sha256(entries.half().numpy().tobytes()).hexdigest()[:8]
    spec = codec.tokens
    return spec if str(file["digest"]) == digest else replace(spec, alphabet=f"{file['alphabet']}-{file['digest']}")


def book_names(tokenizer: Tokenizer) -> list[str]:
    """What each book is, for people: ``meaning`` only where something teaches or gives the first one what is said."""
    made = plain(tokenizer)
    if isinstance(made, Facodec):
        factors = zip(("prosody", "content", "detail"), made.config.books, strict=True)
        return [f"{factor} {book + 1}" for factor, books in factors for book in range(books)]
    if isinstance(made, Units) or made.teach is not None or isinstance(made.quantizer, GivenBook | SplitQuantizer):
        return ["meaning", *(f"detail {book}" for book in range(1, made.tokens.books))]
    return [f"book {book + 1}" for book in range(made.tokens.books)]


def draw(codec: Tokenizer, wave: Float[Tensor, " N"] | None, coded: Coded, path: Path) -> None:
    """A picture of a recording: waveform, spectrogram and token streams on one time axis; without a wave, tokens."""
    from matplotlib.figure import Figure

    config, codes = plain(codec).config, coded.codes.data[0]
    rate = config.sample_rate
    seconds = (coded.samples if wave is None else len(wave)) / rate
    frames_a_second = float(coded.codes.spec.rate or config.rate)
    width = min(max(6.0, 2.5 * seconds), 40.0)
    if wave is None:
        figure = Figure(figsize=(width, 3.0), layout="constrained")
        tokens = figure.subplots()
    else:
        figure = Figure(figsize=(width, 7.5), layout="constrained")
        sounding, spectrum, tokens = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
        sounding.plot(np.arange(len(wave)) / rate, wave.numpy(), linewidth=0.4)
        sounding.set_ylabel("wave")
        padded = torch.nn.functional.pad(wave[None], (0, _SHOWN_WINDOW))
        picture = log_floor(magnitudes(padded, hann(_SHOWN_WINDOW)))[0].T
        spectrum.imshow(
            picture.numpy(), origin="lower", aspect="auto", extent=(0, seconds, 0, rate / 2000), cmap="magma",
            vmin=-7, vmax=4,
        )  # fmt: skip
        spectrum.set_ylabel("kHz")
    books, frames = codes.shape
    end = frames / frames_a_second
    tokens.imshow(
        codes.numpy(), aspect="auto", extent=(0, end, books - 0.5, -0.5), cmap="twilight", interpolation="nearest"
    )
    tokens.set_yticks(range(books), book_names(codec)[:books])
    tokens.set_xlabel(
        f"seconds; {frames_a_second:g} frames/s of {books} ids below {codec.tokens.size} = "
        f"{frames_a_second * books * np.log2(codec.tokens.size) / 1000:.1f} kbit/s"
    )
    tokens.set_xlim(0, max(seconds, end))
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
