"""What does it cost to turn sound into tokens and back, beside EnCodec and Mimi on the same thread?

A codec of strided convolutions runs its first and last layers at the sample rate: at 24 kHz every channel there costs
24,000 multiplications per second and weight. Ours takes its mel frames and its samples from FFTs, so that no layer runs
faster than 100 frames per second; that, and not its size alone, is where the time goes. The others have random weights
(their published sizes and rates): speed does not depend on the values. Numbers are processor seconds per second of
sound on one thread, so that other programs on the machine count little; of the repeats the least is the fairest.
``stepped`` is frame by frame, as in a live conversation; the others are given whole recordings, which favours them.
``2 threads`` are seconds of the clock for whole recordings there and back, for which the machine has to be idle. Where
there is a graphics card, seconds of sound that it makes tokens of, and sound of tokens, in a second are measured too.
"""

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vivavoce
from _report import publish, spread
from vivavoce.core.parts import load_part
from vivavoce.core.streams import sound, whole
from vivavoce.hub import codecs
from vivavoce.models.codec import Codec, CodecConfig

SECONDS = 4
REPEATS = 3
AT_ONCE = 16
"""Recordings on a graphics card."""


def cost(work: Callable[[], object]) -> dict[str, float]:
    """Processor seconds per second of sound."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        taken.append((time.process_time() - start) / SECONDS)
    return spread(taken)


def taken(work: Callable[[], object]) -> float:
    """Seconds of the clock, the least of the repeats."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(
    name: str, model: nn.Module, kbps: float, encode: Callable[[], Any], decode: Callable[[], Any], *, two: bool = False
) -> dict[str, Any]:
    """A line of the table; ``two``: on two threads as well."""
    found: dict[str, Any] = {
        "codec": name,
        "weights, M": round(sum(p.numel() for p in model.parameters()) / 1e6, 1),
        "kbit/s": kbps,
        "encode": cost(encode),
        "decode": cost(decode),
    }
    if two:
        torch.set_num_threads(2)
        found["2 threads"] = (taken(encode) + taken(decode)) / SECONDS
        torch.set_num_threads(1)
    return found


def kib(codec: Codec) -> int:
    """What one conversation holds between steps, both ways."""
    return round((codec.init_encode(1).nbytes() + codec.init_decode(1).nbytes()) / 1024)


def shipped() -> Codec:
    """The default model's codec."""
    folder = Path(vivavoce.__file__).parent / "weights" / "mini"
    return load_part(folder, "codec") if (folder / "codec.json").exists() else CodecConfig().build().eval()


def ours() -> list[dict[str, Any]]:
    """Whole, frame by frame for one and for four conversations, and by 80 ms, as sound comes from a microphone."""
    codec = shipped()
    config = codec.config
    wave = 0.1 * torch.randn(1, SECONDS * config.sample_rate)
    stream = sound(wave, config.sample_rate)
    tokens = codec.encode(stream)
    codes = tokens.data[:, :, : wave.shape[1] // config.hop]
    kbps = float(config.rate) * config.books * 10 / 1000

    def hear(rows: int, frames: int = 1) -> Callable[[], None]:
        def work() -> None:
            state = codec.init_encode(rows)
            for piece in wave.expand(rows, -1).split(frames * config.hop, dim=1):
                codec.encode_step(piece, state)

        return work

    def speak(rows: int, frames: int = 1) -> Callable[[], None]:
        def work() -> None:
            state = codec.init_decode(rows)
            for piece in codes.expand(rows, -1, -1).split(frames, dim=2):
                codec.decode_step(piece, state)

        return work

    rows = [
        row("ours, whole", codec, kbps, lambda: codec.encode(stream), lambda: codec.decode(tokens), two=True),
        row("ours, stepped", codec, kbps, hear(1), speak(1)),
        row("ours, stepped by 80 ms", codec, kbps, hear(1, 2), speak(1, 2)),
        row("ours, stepped, 4 conversations", codec, kbps, hear(4), speak(4)),
    ]
    rows[2]["state, KiB"] = kib(codec)
    return rows


def others() -> list[dict[str, Any]]:
    """EnCodec at 1.5 kbit/s and Mimi at 1.1 with random weights, by transformers and by us with the same weights.

    Ours are also stepped by 80 ms; beside it what recomputing costs in which each step hears the last second again.
    None where transformers is not installed.
    """
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed, so EnCodec and Mimi are left out: pip install 'vivavoce[hf]'")
        return []
    from transformers import EncodecConfig, EncodecModel, MimiConfig, MimiModel
    from transformers.utils import ModelOutput

    wave = 0.1 * torch.randn(1, 1, SECONDS * 24000)
    encodec, mimi = EncodecModel(EncodecConfig()).eval(), MimiModel(MimiConfig()).eval()
    coded, mimi_coded = encodec.encode(wave, bandwidth=1.5), mimi.encode(wave, num_quantizers=8)
    assert isinstance(coded, ModelOutput) and isinstance(mimi_coded, ModelOutput)  # they give tuples when asked to
    codes, scales, mimi_codes = coded.audio_codes, coded.audio_scales, mimi_coded.audio_codes
    assert codes is not None and scales is not None and mimi_codes is not None
    with tempfile.TemporaryDirectory() as folder:
        mimi.save_pretrained(folder)  # what it is on disk, whose names are the published ones
        own_mimi = codecs.load(Path(folder))
    own_encodec = codecs.codec_of(encodec.config.to_dict(), encodec.state_dict())
    assert isinstance(own_encodec, Codec) and isinstance(own_mimi, Codec)
    return [
        row(
            "EnCodec, transformers", encodec, 1.5,
            lambda: encodec.encode(wave, bandwidth=1.5),
            lambda: encodec.decode(codes, scales), two=True,
        ),
        *same("EnCodec", own_encodec, wave, 2, 1.5),
        row(
            "Mimi, transformers", mimi, 1.1,
            lambda: mimi.encode(wave, num_quantizers=8), lambda: mimi.decode(mimi_codes), two=True,
        ),
        *same("Mimi", own_mimi, wave, 8, 1.1),
    ]  # fmt: skip


def same(name: str, codec: Codec, wave: Tensor, books: int, kbps: float) -> list[dict[str, Any]]:
    """Our codec with the reference's weights: whole, stepped by 80 ms, and recomputed over a second every 80 ms.

    A second goes before the sound that is recomputed, as each step of a conversation has one behind it.
    """
    stream = whole(codec.config.wave, wave)
    tokens = codec.encode(stream, books)
    hop, frames = codec.config.hop, 1920 // codec.config.hop
    second = 24000 // hop * hop

    def hear() -> None:
        state = codec.init_encode(1)
        for piece in wave[:, 0].split(frames * hop, dim=1):
            codec.encode_step(piece, state, books=books)

    def speak() -> None:
        state = codec.init_decode(1)
        for piece in tokens.data.split(frames, dim=2):
            codec.decode_step(piece, state)

    earlier = torch.cat((wave[:, :, :second], wave), dim=2)
    codes = torch.cat((tokens.data[:, :, : second // hop], tokens.data), dim=2)

    def hear_again() -> None:
        for begin in range(frames * hop, wave.shape[2] + 1, frames * hop):
            codec.encode(whole(codec.config.wave, earlier[:, :, begin : begin + second]), books)

    def speak_again() -> None:
        for begin in range(frames, tokens.data.shape[2] + 1, frames):
            codec.decode(whole(tokens.spec, codes[:, :, begin : begin + second // hop]))

    rows = [
        row(f"{name}, ours", codec, kbps, lambda: codec.encode(stream, books), lambda: codec.decode(tokens), two=True),
        row(f"{name}, ours, stepped by 80 ms", codec, kbps, hear, speak),
        row(f"{name}, ours, a second again every 80 ms", codec, kbps, hear_again, speak_again),
    ]
    rows[1]["state, KiB"] = kib(codec)
    return rows


def on_a_card() -> list[dict[str, Any]]:
    """Seconds of sound in a second on a graphics card, many recordings at once; nothing where there is none."""
    if not torch.cuda.is_available():
        print("there is no graphics card here, so throughput on one is left out")
        return []
    codecs_of: dict[str, tuple[Any, int]] = {"ours, whole": (shipped(), 8)}
    if importlib.util.find_spec("transformers") is not None:
        from transformers import EncodecConfig, EncodecModel

        known = EncodecModel(EncodecConfig())
        made = codecs.codec_of(known.config.to_dict(), known.state_dict())
        codecs_of["EnCodec, ours"] = made, 2
    rows = []
    for name, (codec, books) in codecs_of.items():
        codec = codec.cuda()
        stream = whole(codec.config.wave, 0.1 * torch.randn(AT_ONCE, 1, SECONDS * codec.config.sample_rate).cuda())
        tokens = codec.encode(stream, books)

        def hear(codec: Any = codec, stream: Any = stream, books: int = books) -> None:
            codec.encode(stream, books)
            torch.cuda.synchronize()

        def speak(codec: Any = codec, tokens: Any = tokens) -> None:
            codec.decode(tokens)
            torch.cuda.synchronize()

        seconds = AT_ONCE * SECONDS
        throughput = {"card, encode s/s": seconds / taken(hear), "card, decode s/s": seconds / taken(speak)}
        rows.append({"codec": f"{name}, {torch.cuda.get_device_name()}, {AT_ONCE} at once", **throughput})
    return rows


def main() -> None:
    """Measures and prints."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        publish("codec", {"seconds": SECONDS, "repeats": REPEATS, "threads": 1}, ours() + others() + on_a_card())


if __name__ == "__main__":
    main()
