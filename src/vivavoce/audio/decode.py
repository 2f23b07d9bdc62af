"""The samples of a recording, block by block: libsndfile reads what it knows, PyAV what browsers and phones record."""

import importlib.util
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import soundfile
from jaxtyping import Float32

from vivavoce.audio.containers import looks_like_text, parts_of
from vivavoce.audio.source import Part, Source, Window
from vivavoce.core.errors import AudioError, MissingExtra

_BLOCK: Final = 1 << 16
"""Values of one block, all channels together."""
_SLOWEST, _FASTEST = 4000, 384_000
_EXACT: Final = ("MP4", "WebM", "Matroska", "WavPack", "TTA")
"""Formats of PyAV that say how long they are rather than let it be guessed from the rate of the bits."""
_TOLERANCE = 0.25
"""Seconds by which a stated length may be wrong: encoders pad, and clocks round."""

Block = Float32[np.ndarray, "N C"]


@dataclass(slots=True)
class Damage:
    """What was found to be missing or damaged while reading, in words."""

    found: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Notes it once."""
        if what and what not in self.found:
            self.found.append(what)


class _Stream(soundfile.SoundFile):
    """A sound file that is read once from front to end: seeking after each block, as for other files, resets codecs."""

    def seekable(self) -> bool:
        """Not at all."""
        return False


def recognised(source: Source) -> list[Part]:
    """The recordings in a source; AudioError when there are none."""
    parts = parts_of(source)
    if parts:
        return parts
    if looks_like_text(source):
        raise AudioError(f"{source.name} is not audio but text; give a recording, such as WAV, FLAC, Ogg, MP3 or WebM")
    raise AudioError(
        f"{source.name} is not audio that can be read: its bytes have no header of a format (WAV, FLAC, Ogg, MP3, MP4, "
        "WebM …); if they are bare samples, give them one: sox -t raw -r 16000 -e signed -b 16 -c 1 IN OUT.wav"
    )


def blocks(source: Source, part: Part, trouble: Damage) -> Iterator[tuple[Block, int]]:
    """The samples of one recording and their rate, in blocks of any length; what is wrong is noted in ``trouble``.

    Raises AudioError when nothing can be read, and MissingExtra when a package is needed for that.
    """
    trouble.add(part.missing)
    if part.library == "PyAV" or (part.kind.startswith("MP3") and _pyav_is_there()):
        yield from _by_pyav(source, part, trouble)
        return
    try:
        file = _opened(source, part)
    except (soundfile.LibsndfileError, RuntimeError, ValueError) as error:
        if not part.decoder:
            raise _unreadable(source, part, error) from error
        yield from _by_pyav(source, part, trouble, error)
        return
    with file:
        if not (file.subtype.startswith("MPEG") and _pyav_is_there()):
            read = yield from _by_libsndfile(source, part, file, trouble)
            if (
                read is not None and _pyav_is_there()
            ):  # libsndfile gives up at the first damage, FFmpeg goes on behind it
                yield from _behind(read, _by_pyav(source, part, trouble))
            return
    yield from _by_pyav(source, part, trouble)


def stated_seconds(source: Source, part: Part) -> float | None:
    """How long a recording is by its header, where that can be trusted without reading it; None elsewhere."""
    if part.library == "PyAV":
        return None
    try:
        with _opened(source, part) as file:
            _check_rate(source, file.samplerate)
            seconds = file.frames / file.samplerate
    except (soundfile.LibsndfileError, RuntimeError, ValueError):
        return None
    return seconds if seconds < 1e9 else None


def _opened(source: Source, part: Part) -> _Stream:
    return _Stream(cast(Any, Window(source, part)))


def _behind(samples: int, found: Iterator[tuple[Block, int]]) -> Iterator[tuple[Block, int]]:
    """The blocks behind the first so many samples."""
    for block, rate in found:
        if samples < len(block):
            yield block[samples:], rate
        samples = max(samples - len(block), 0)


def _by_libsndfile(
    source: Source, part: Part, file: _Stream, trouble: Damage
) -> Generator[tuple[Block, int], None, int | None]:
    """Gives the number of samples that were read when it was not able to go on."""
    rate, channels, stated = file.samplerate, file.channels, file.frames
    _check_rate(source, rate)
    if not channels:
        raise AudioError(f"{source.name} says that it has no channels; record or export it again")
    got, lost = 0, False
    buffer = np.empty((max(_BLOCK // channels, 1), channels), np.float32)
    while got < stated and not lost:
        # when a decoder loses its way, soundfile does not say how much it had read, but what was not written stays NaN
        if part.kind in ("FLAC", "Ogg"):
            buffer.fill(np.nan)
        try:
            block = file.read(out=buffer)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            block = buffer[: _written(buffer)] if part.kind in ("FLAC", "Ogg") else buffer[:0]
            lost = got + len(block) < stated  # otherwise all of it is there, and what follows is a tag
            if lost:
                trouble.add(part.missing or f"it is damaged ({_reason(error)})")
        if not len(block):
            break
        got += len(block)
        yield block, rate
    if lost and part.kind in ("FLAC", "Ogg"):
        return got
    if part.samples:
        stated = round(part.samples * (rate / 48000 if file.subtype == "OPUS" else 1))
    if got < stated < 1e9 * rate and not part.missing and (stated - got) > _slack(file):
        trouble.add(f"{(stated - got) / rate:.2f} s of sound are missing")
    return None


def _pyav_is_there() -> bool:
    """Whether PyAV can be imported: where MP3 is damaged, libsndfile's decoder writes to the error stream."""
    return importlib.util.find_spec("av") is not None


def _slack(file: _Stream) -> float:
    """Samples by which a count may be wrong without anything being missing."""
    return 0.0 if file.subtype.startswith("PCM") else _TOLERANCE * file.samplerate


def _written(buffer: Block) -> int:
    missing = np.isnan(buffer[:, -1])
    return int(missing.argmax()) if missing.any() else len(buffer)


def _by_pyav(
    source: Source, part: Part, trouble: Damage, before: Exception | None = None
) -> Iterator[tuple[Block, int]]:
    try:
        import av
    except ModuleNotFoundError as error:
        refusal = "" if before is None else f" of a kind that libsndfile does not read ({_reason(before)})"
        raise MissingExtra(
            f"{source.name} is {part.kind}{refusal}, which needs the package av; "
            "install it with: pip install 'vivavoce[serve]'"
        ) from error
    wrong = (av.FFmpegError, ValueError, IndexError, MemoryError, OverflowError, NotImplementedError)
    try:
        # the format is given, so that nothing in the bytes can name another file to be read
        container = av.open(Window(source, part), "r", format=part.decoder, metadata_errors="replace")
    except wrong as error:
        raise _unreadable(source, part, before or error) from error
    with container:
        sounds = container.streams.audio
        if not sounds:
            what = "has no sound in it" if container.streams.video else "has no sound that can be read"
            raise AudioError(f"{source.name} {what} ({part.kind}); record or copy it again")
        got = 0.0
        for block, rate in _frames(container, sounds[0], source, part, trouble, wrong):
            got += len(block) / rate
            yield block, rate
        stated = (container.duration or 0) / 1e6
        if part.kind in _EXACT and not trouble.found and got < stated < 1e9 and stated - got > _TOLERANCE:
            trouble.add(f"{stated - got:.2f} s of sound are missing")


def _frames(
    container: Any, stream: Any, source: Source, part: Part, trouble: Damage, wrong: tuple[type[Exception], ...]
) -> Iterator[tuple[Block, int]]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except wrong as error:
            trouble.add(part.missing or f"it breaks off ({_reason(error)})")
            return
        try:
            frames = packet.decode()
        except wrong as error:
            trouble.add(part.missing or f"a piece of it cannot be decoded ({_reason(error)})")
            continue
        if packet.is_corrupt and not part.missing and packet.size:
            trouble.add("its last piece is cut")
        for frame in frames:
            _check_rate(source, frame.sample_rate)
            if frame.samples:
                yield _floats(frame), frame.sample_rate


def _floats(frame: Any) -> Block:
    """Samples of a frame, whatever they are stored as, between -1 and 1."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, len(frame.layout.channels)).T
    if values.dtype == np.uint8:
        made = (values.astype(np.float32) - 128) / 128
    elif np.issubdtype(values.dtype, np.integer):
        made = values.astype(np.float32) / np.float32(-float(np.iinfo(values.dtype).min))
    else:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
            made = values.astype(np.float32)
    return np.ascontiguousarray(made.T)


def _check_rate(source: Source, rate: int) -> None:
    if not _SLOWEST <= rate <= _FASTEST:
        raise AudioError(
            f"{source.name} says that it has {rate} samples per second; {_SLOWEST} to {_FASTEST} are taken"
        )


def _unreadable(source: Source, part: Part, error: Exception) -> AudioError:
    why = part.missing or _reason(error)
    return AudioError(
        f"{source.name} is not audio that can be read: it is {part.kind}, but {why}; copy or export it again"
    )


def _reason(error: Exception) -> str:
    """The last clause of what a library says, in the middle of our sentence."""
    said = str(getattr(error, "strerror", None) or str(error).rsplit(": ", 1)[-1]).strip().rstrip(".")
    said = said.removeprefix("Error : ")
    return (said[:1].lower() + said[1:] if said[1:2].islower() else said) or type(error).__name__
