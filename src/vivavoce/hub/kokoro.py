"""Kokoro (hexgrad, 82 M parameters; StyleTTS 2, arXiv:2306.07691): phones and a style to sound, through onnxruntime.

A style is a table of one vector per number of phones. How long each phone lasts is computed inside the graph and is no
output of it: the tensor that holds it is made one when the file is loaded.
"""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float32

from vivavoce.core.errors import MissingExtra, PartError, VoiceError
from vivavoce.core.stop import StopSignal

RATE: Final = 24_000
TICK: Final = 600
"""Samples of the unit in which phones last."""
LONGEST: Final = 509
"""Phones of one piece."""
_IDS: Final = {
    **dict(zip(";:,.!?—…", (1, 2, 3, 4, 5, 6, 9, 10), strict=True)),
    " ": 16,
    "A": 24,
    "I": 25,
    "O": 31,
    "T": 36,
    "W": 39,
    "Y": 41,
    "ᵊ": 42,
    **dict(zip("abcdefhijklmnopqrstuvwxyz", (*range(43, 49), *range(50, 69)), strict=True)),
    "ɑ": 69,
    "ɐ": 70,
    "æ": 72,
    "ɔ": 76,
    "ð": 81,
    "ʤ": 82,
    "ə": 83,
    "ɛ": 86,
    "ɜ": 87,
    "ɡ": 92,
    "ɪ": 102,
    "ŋ": 112,
    "θ": 119,
    "ɹ": 123,
    "ʃ": 131,
    "ʧ": 133,
    "ʊ": 135,
    "ʌ": 138,
    "ʒ": 147,
    "ˈ": 156,
    "ˌ": 157,
}
"""The numbers of the symbols that English takes."""
_PAD: Final = 0
_INT64: Final = 7


class Uttered(NamedTuple):
    """Sound at 24 kHz, and how long the silence before, each symbol, and the silence after last, in ticks (None where
    the file does not tell)."""

    pcm: Float32[np.ndarray, " N"]
    ticks: tuple[int, ...] | None


def ids_of(symbols: str) -> list[int]:
    """The numbers of symbols; KeyError for one that Kokoro has not."""
    return [_IDS[symbol] for symbol in symbols]


class Kokoro:
    """The network and its styles; may be called from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Reads a folder with one ``.onnx`` file and ``voices.npz``.

        Raises MissingExtra without onnxruntime, PartError for files that are no Kokoro.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtra(
                "Kokoro is run by onnxruntime; install it with: pip install 'vivavoce[voice]'"
            ) from error
        self.styles = _styles(folder / "voices.npz")
        graphs = sorted(folder.glob("*.onnx"))
        if len(graphs) != 1:
            raise PartError(f"{folder} has {len(graphs)} .onnx files; a Kokoro is one of them and voices.npz")
        self._options: Callable[[], Any] = onnxruntime.RunOptions
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
        settings.log_severity_level = 3
        try:
            graph = graphs[0].read_bytes()
            lasting = _lasting(graph)
            self._session = onnxruntime.InferenceSession(
                graph + _output(lasting) if lasting else graph, settings, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's errors have no common class of their own
            raise PartError(f"{graphs[0]} cannot be loaded ({str(error)[:200]}); fetch it again") from error
        self._outputs = ["audio", *([lasting] if lasting else [])]
        wanted = {"tokens", "style", "speed"}
        if (given := {one.name for one in self._session.get_inputs()}) != wanted:
            raise PartError(f"{graphs[0]} takes {', '.join(sorted(given))}, a Kokoro {', '.join(sorted(wanted))}")

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the styles."""
        return tuple(self.styles)

    def utter(self, symbols: str, voice: str, speed: float = 1.0, stop: StopSignal | None = None) -> Uttered:
        """The sound of at most `LONGEST` symbols in the style of this name; empty where ``stop`` came first.

        Raises VoiceError for a name that has no style.
        """
        if voice not in self.styles:
            raise VoiceError(f"Kokoro has no voice {voice!r} here; it has {', '.join(self.styles)}")
        ids = ids_of(symbols[:LONGEST])
        table, options = self.styles[voice], self._options()
        given = {
            "tokens": np.array([[_PAD, *ids, _PAD]], np.int64),
            "style": table[min(len(ids), len(table) - 1)].reshape(1, -1),
            "speed": np.array([speed], np.float32),
        }
        stop = stop or StopSignal()
        with stop.by(lambda: setattr(options, "terminate", True)):
            try:
                made = self._session.run(self._outputs, given, options)
            except Exception as error:
                if stop:
                    return Uttered(np.zeros(0, np.float32), None)
                raise PartError(f"Kokoro failed ({str(error)[:200]})") from error
        ticks = tuple(int(tick) for tick in np.asarray(made[1]).ravel()) if len(made) > 1 else None
        return Uttered(np.asarray(made[0], np.float32).ravel(), ticks)


def _styles(path: Path) -> dict[str, Float32[np.ndarray, "P D"]]:
    """The tables of a file without pickles; PartError for any other."""
    try:
        with np.load(path, allow_pickle=False) as file:
            tables = {name: np.asarray(file[name], np.float32) for name in sorted(file.files)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PartError(f"the voices {path} cannot be read ({error}); fetch them again") from error
    if not tables or any(table.size == 0 or not np.isfinite(table).all() for table in tables.values()):
        raise PartError(f"the voices {path} are no tables of styles; fetch them again")
    return {name: table.reshape(len(table), -1) for name, table in tables.items()}


# ---- the graph's own tensors: just as much of protobuf as naming one of them as an output takes ----

_GRAPH, _NODE, _OUTPUT, _OP, _OUTPUT_OF_NODE = 7, 1, 12, 4, 2


def _lasting(graph: bytes) -> str:
    """The name of the tensor that says how long each symbol lasts: durations are rounded, kept above 0 and made whole
    numbers, and that happens once; empty where it is not found."""
    operations: list[tuple[str, str]] = []
    try:
        for number, body in _fields(memoryview(graph)):
            if number == _GRAPH:
                for kind, node in _fields(body):
                    if kind == _NODE:
                        said = {key: bytes(value).decode() for key, value in _fields(node) if key in (_OP, 2)}
                        operations.append((said.get(_OP, ""), said.get(_OUTPUT_OF_NODE, "")))
    except (IndexError, UnicodeDecodeError):
        return ""
    names = [name for name, _ in operations]
    places = [place for place in range(len(names)) if names[place : place + 3] == ["Round", "Clip", "Cast"]]
    return operations[places[0] + 2][1] if len(places) == 1 else ""


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message that hold bytes, by number."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        if key & 7 == 2:
            size, at = _number(message, at)
            yield key >> 3, message[at : at + size]
            at += size
        elif key & 7 == 0:
            _, at = _number(message, at)
        else:
            at += 4 if key & 7 == 5 else 8


def _number(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
        if byte < 128:
            return value, at


def _output(name: str) -> bytes:
    """What makes a tensor of whole numbers an output, when it stands behind a graph: messages that follow each other
    are read as one."""
    kind = _field(2, _field(1, bytes((1 << 3, _INT64))))
    return _field(_GRAPH, _field(_OUTPUT, _field(1, name.encode()) + kind))


def _field(number: int, body: bytes) -> bytes:
    size = len(body)
    assert size < 1 << 14
    return bytes((number << 3 | 2, *((size,) if size < 128 else (size & 127 | 128, size >> 7)))) + body
