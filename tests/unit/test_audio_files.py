"""Sound files: whatever people bring goes in, and what is wrong is said in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vivavoce.audio.files import read_audio, read_recording, write_audio
from vivavoce.audio.loudness import active_level_db, at_level, rms_db
from vivavoce.audio.resample import Resampler, resample
from vivavoce.core.errors import AudioError, StorageError


def tone(seconds: float = 0.5, rate: int = 16000, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_written_files_are_read_back(tmp_path: Path, suffix: str):
    write_audio(tmp_path / f"a.{suffix}", torch.from_numpy(tone(rate=24000)), 24000)
    wave, rate = read_audio(tmp_path / f"a.{suffix}")
    assert rate == 24000 and abs(len(wave) - 12000) < 100
    assert abs(rms_db(wave[2000:8000]) - rms_db(torch.from_numpy(tone()))) < 1.0


@pytest.mark.parametrize(
    ("subtype", "rate", "channels"), [("PCM_U8", 8000, 1), ("PCM_24", 192000, 2), ("FLOAT", 44100, 5)]
)
def test_odd_formats_just_work(tmp_path: Path, subtype: str, rate: int, channels: int):
    data = np.stack([tone(rate=rate)] * channels, axis=1)
    soundfile.write(tmp_path / "a.wav", data, rate, subtype=subtype)
    wave, got = read_audio(tmp_path / "a.wav", 16000)
    assert got == 16000 and wave.shape == (8000,)
    assert float((wave[400:-400] - torch.from_numpy(tone())[400:-400]).abs().max()) < 0.02


def bad(tmp_path: Path, name: str) -> Path:
    path = tmp_path / f"{name}.wav"
    if name == "no audio":
        path.write_text("these are words, not sound\n" * 100)
    elif name == "empty":
        path.touch()
    elif name == "no samples":
        soundfile.write(path, np.zeros((0, 1), np.float32), 16000)
    elif name == "silent":
        soundfile.write(path, np.zeros(16000, np.float32), 16000)
    elif name == "nan":
        soundfile.write(path, np.where(np.arange(16000) == 5, np.nan, 0.1).astype(np.float32), 16000, subtype="FLOAT")
    elif name == "header":
        soundfile.write(path, tone(), 16000)
        path.write_bytes(path.read_bytes()[:30])
    elif name == "too long":
        soundfile.write(path, tone(3.0), 16000)
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "no file"),
        ("no audio", "text"),
        ("empty", "empty file"),
        ("no samples", "no sound"),
        ("silent", "silent"),
        ("nan", "NaN"),
        ("header", "is WAV, but"),
        ("too long", "at most 2 s"),
    ],
)
def test_bad_files_are_refused_in_one_sentence(tmp_path: Path, name: str, says: str):
    with pytest.raises(AudioError) as caught:
        read_audio(bad(tmp_path, name), limit_seconds=2)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_off_flac_is_read_to_there(tmp_path: Path):
    soundfile.write(tmp_path / "a.flac", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:20000])
    read = read_recording(tmp_path / "a.flac")
    assert 0.3 < read.seconds < 0.9 and "not whole" in read.warning


def test_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(AudioError, match="no file"):
        read_audio(tmp_path)


def test_silence_is_allowed_when_asked_for(tmp_path: Path):
    assert read_audio(bad(tmp_path, "silent"), allow_silent=True)[0].shape == (16000,)


def test_a_failed_write_leaves_nothing(tmp_path: Path):
    with pytest.raises(AudioError, match="no suffix"):
        write_audio(tmp_path / "a", torch.zeros(10), 16000)
    with pytest.raises(AudioError, match="12345 Hz"):
        write_audio(tmp_path / "a.mp3", torch.zeros(1, 10), 12345)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_audio(tmp_path / "file/b.wav", torch.zeros(10), 16000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("rate", "to"), [(16000, 24000), (48000, 16000), (44100, 24000)])
def test_resampling_in_pieces_is_resampling(rate: int, to: int):
    wave = torch.from_numpy(tone(0.3, rate))
    stream = Resampler(rate, to)
    pieces = [stream.step(piece) for piece in wave.split(777)] + [stream.step(torch.zeros(0)), stream.flush()]
    whole = resample(wave, rate, to)
    assert torch.allclose(torch.cat(pieces), whole, atol=1e-5)
    assert len(whole) == round(len(wave) * to / rate)
    assert float((whole[200:-200] - torch.from_numpy(tone(0.3, to))[200 : len(whole) - 200]).abs().max()) < 1e-3


def test_levels_count_speech_and_not_pauses():
    speech = torch.cat((torch.from_numpy(tone(1.0)), torch.zeros(32000)))
    assert abs(active_level_db(speech, 16000) - rms_db(speech[:16000])) < 0.1
    assert rms_db(speech) < rms_db(speech[:16000]) - 4
    assert abs(active_level_db(at_level(speech, 16000, -30.0), 16000) + 30) < 0.1
    assert float(at_level(speech, 16000, 10.0).abs().max()) <= 0.951
    assert torch.equal(at_level(torch.zeros(100), 16000), torch.zeros(100)) and rms_db(torch.zeros(0)) == -120
