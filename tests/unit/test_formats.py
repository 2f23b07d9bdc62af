"""G.711 and streams of sound."""

import base64
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from vivavoce.audio.files import SYNTHETIC, read_recording
from vivavoce.audio.pcm import to_int16
from vivavoce.core.errors import ProtocolError
from vivavoce.server.formats import CODERS, TABLES, Decoder, Encoder
from vivavoce.server.items import base64_bytes
from vivavoce.server.problems import Problem
from vivavoce.server.sound_files import FileEncoder, FileFormat, whole_file


@pytest.mark.parametrize(("name", "peak"), [("audio/pcmu", 32124), ("audio/pcma", 32256)])
def test_g711_tables_are_those_of_the_standard(name, peak):
    table = TABLES[name]
    assert table.max() == peak == -table.min()
    again = table[CODERS[name][table.astype(np.int32) + 32768]]
    assert np.array_equal(again, table)
    samples = np.arange(-32000, 32000, 37)
    error = np.abs(table[CODERS[name][samples + 32768]] - samples)
    assert np.all(error <= np.maximum(16, np.abs(samples) / 16))


def test_known_codes():
    assert TABLES["audio/pcmu"][[0xFF, 0x7F, 0x80, 0x00]].tolist() == [0, 0, 32124, -32124]
    assert TABLES["audio/pcma"][[0xD5, 0x55, 0xAA, 0x2A]].tolist() == [8, -8, 32256, -32256]


@pytest.mark.parametrize("name", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_pieces_are_the_whole(name):
    tone = (0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(24_000))).astype(np.float32)
    encoder = Encoder(name)
    pieces = b"".join(encoder(part) for part in np.array_split(tone, 7)) + encoder(tone[:0], last=True)
    assert pieces == Encoder(name)(tone, last=True)
    decoder = Decoder(name)
    cut = len(pieces) // 4 * 2
    back = np.concatenate([decoder(pieces[:cut]), decoder(pieces[cut:]), decoder(b"", last=True)])
    assert abs(len(back) - len(tone)) < 50
    assert np.corrcoef(back[2000:20_000], tone[2000:20_000])[0, 1] > 0.99


def test_half_a_sample_waits_for_its_other_half():
    samples = np.arange(-300, 300, 7, dtype="<i2")
    data, decoder = samples.tobytes(), Decoder("audio/pcm")
    cuts = [0, 1, 1, 4, 7, 8, 51, len(data) - 1, len(data)]
    pieces = [decoder(data[begin:end]) for begin, end in pairwise(cuts)]
    assert np.array_equal(to_int16(np.concatenate(pieces)), samples) and not len(decoder(b"", last=True))
    decoder(b"\x01")
    with pytest.raises(ProtocolError, match="half"):
        decoder(b"", last=True)
    # it is still there when the missing byte comes
    assert to_int16(decoder(b"\x02")).tolist() == [0x0201]


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_g711_has_no_halves(name):
    decoder = Decoder(name)
    assert len(np.concatenate([decoder(bytes(81)), decoder(bytes(80)), decoder(b"", last=True)])) == 3 * 161


def test_base64_may_be_broken_into_lines_and_lack_its_padding():
    data = b"\xff" * 25
    text = base64.b64encode(data).decode()
    for way in (text, text.rstrip("="), f"{text[:10]}\n{text[10:]}\n"):
        assert base64_bytes(way, "audio") == data
    for cut in (text[:5], text[:6], text[:7], f"{text[:-2]}!=", f"A{text}"):
        with pytest.raises(Problem, match="base64"):
            base64_bytes(cut, "audio")


@pytest.mark.parametrize("name", get_args(FileFormat))
def test_sound_files_say_that_they_are_synthetic(name):
    tone = (0.3 * np.sin(2 * np.pi * 440 / 24_000 * np.arange(24_000))).astype(np.float32)
    encoder = FileEncoder(name)
    first, *rest = [encoder(part) for part in np.array_split(tone, 7)]
    streamed = b"".join((first, *rest, encoder.finish()))
    for data in (streamed, whole_file(tone, name)):
        assert (SYNTHETIC.encode() in data[:600]) == (name != "pcm")  # bare samples have no place for it
        if name != "pcm":
            read = read_recording(data)
            assert read.seconds == pytest.approx(1.0, abs=0.1) and not read.warning
            assert np.abs(read.wave.numpy()).max() == pytest.approx(0.3, abs=0.05)
    if name != "flac":
        assert first  # it still begins at once
