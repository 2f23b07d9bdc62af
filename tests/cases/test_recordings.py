"""Recordings in the wild: whatever people bring is read to its end, or one sentence says what is wrong."""

import base64
import json
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from sounds import FORMATS, NEEDS_PYAV, SECONDS, encoded, patched, sound, tagged, tone, top_level, wav, written
from typer.testing import CliRunner

from vivavoce.audio import decode, files
from vivavoce.audio.files import length_of, read_audio, read_recording
from vivavoce.cli.main import app
from vivavoce.core.errors import AudioError, MissingExtra, VivavoceError
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model
from vivavoce.server.app import create_app
from vivavoce.server.replies import WARNING
from vivavoce.server.settings import Settings

PADDED = 0.11
"""Seconds that encoders add: blocks that are filled up, delays that are not told."""


def read(data: bytes, **more: Any) -> files.Recording:
    return read_recording(data, **more)


def tonal(recording: files.Recording) -> float:
    """How much of the middle is the tone that was recorded, 0 to 1."""
    middle = recording.wave.numpy()[len(recording.wave) // 4 : -len(recording.wave) // 4 or None]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    hz = np.fft.rfftfreq(len(middle), 1 / recording.sample_rate)
    return float(power[np.abs(hz - 220) < 15].sum() / power.sum())


# ---- every format ----


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_read_to_its_end(name: str):
    got = read(sound(name))
    assert not got.warning
    assert SECONDS - 0.05 <= got.seconds <= SECONDS + PADDED
    assert tonal(got) > 0.9


@pytest.mark.parametrize("name", ["wav", "wav-gsm", "flac-pipe", "vorbis", "opus", "mp3", "m4a", "webm-live"])
def test_the_bytes_decide_and_not_the_name(name: str, tmp_path: Path):
    for suffix in ("raw", "txt", "wav", "mp3", "vox", ""):
        path = tmp_path / f"audio.{suffix}"
        path.write_bytes(sound(name))
        assert abs(read_audio(path, 24000)[0].shape[0] / 24000 - SECONDS) < PADDED


def test_reading_a_file_and_its_bytes_is_the_same(tmp_path: Path):
    for name in ("wav-24", "flac", "vorbis", "mp3-stereo"):
        (tmp_path / name).write_bytes(sound(name))
        assert read_recording(tmp_path / name, 24000).wave.equal(read(sound(name), sample_rate=24000).wave)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 22050, 44100, 192000, 384000])
def test_any_rate_becomes_the_one_that_is_wanted(rate: int):
    got = read(wav(tone(rate, 0.5), rate, "PCM_16"), sample_rate=24000)
    assert abs(len(got.wave) - 12000) < 3 and tonal(got) > 0.9


@pytest.mark.parametrize("rate", [1, 3999, 384001, 0x7FFFFFFF])
def test_rates_that_are_none_are_refused(rate: int):
    with pytest.raises(AudioError, match="samples per second"):
        read(patched(sound("wav"), b"fmt ", "<I", rate, skip=8))


def test_channels_are_mixed_and_the_loudest_is_taken_where_they_cancel():
    left = tone()
    assert np.allclose(read(wav(np.hstack([left] * 6), 16000)).wave, left[:, 0], atol=1e-6)
    assert np.array_equal(read(wav(np.hstack([0.5 * left, -left, 0.5 * left]), 16000)).wave, -left[:, 0])


# ---- lengths that nobody knew, recordings that are joined, tags ----


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFF00, 0x80000000, 0xFFFFFFFF, 0xFFFFF000])
@pytest.mark.parametrize("name", ["wav", "wav-24", "wav-float", "wav-ima", "wav-ms", "wav-gsm", "wavex"])
def test_sizes_that_a_pipe_cannot_know_mean_to_the_end(name: str, size: int):
    got = read(patched(sound(name), b"data", "<I", size))
    assert got.wave.equal(read(sound(name)).wave) and not got.warning


@pytest.mark.parametrize(
    ("name", "mark", "layout", "skip", "size"),
    [
        ("aiff", b"SSND", ">I", 0, 0x7FFFFFFF),
        ("aiff", b"SSND", ">I", 0, 0),
        ("aifc-ima", b"SSND", ">I", 0, 0xFFFFFFFF),
        ("au", b".snd", ">I", 4, 0xFFFFFFFF),
        ("au", b".snd", ">I", 4, 0),
        ("au-ulaw", b".snd", ">I", 4, 0x7FFFFFFF),
        ("caf", b"data", ">q", 0, -1),
        ("caf", b"data", ">q", 0, 0),
        ("w64", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a", "<Q", 0, 0),
        ("w64", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a", "<Q", 0, 2**64 - 1),
        ("rf64", b"ds64", "<Q", 12, 0),
        ("rf64", b"ds64", "<Q", 12, 2**64 - 1),
    ],
)
def test_other_containers_have_such_sizes_too(name: str, mark: bytes, layout: str, skip: int, size: int):
    got = read(patched(sound(name), mark, layout, size, skip))
    assert abs(got.seconds - SECONDS) < 0.01 and not got.warning


def test_bw64_is_rf64_by_another_name():
    assert read(b"BW64" + sound("rf64")[4:]).wave.equal(read(sound("rf64")).wave)


JOINED = ["wav", "wav-u8", "wav-pipe", "rf64", "w64", "aiff", "au", "flac", "flac-pipe", "vorbis", "opus", "mp3",
          "ogg-flac", "mp3-tagged", "webm", "webm-live", "m4a", "mp4-live", "aac", "amr"]  # fmt: skip


@pytest.mark.parametrize("name", JOINED)
def test_all_of_what_is_joined_is_read(name: str):
    once, twice = read(sound(name)), read(sound(name) * 3)
    assert not twice.warning and abs(twice.seconds - 3 * once.seconds) < 0.03


def test_joined_recordings_may_differ():
    for one, two in (("vorbis", "opus"), ("mp3", "mp3-stereo"), ("mp3", "flac"), ("wav", "wav-24")):
        got = read(sound(one) + sound(two), sample_rate=24000)
        assert abs(got.seconds - 2 * SECONDS) < PADDED and not got.warning and tonal(got) > 0.85
    bare = written("MP3", "MPEG_LAYER_III", 22050)
    assert abs(read(sound("mp3") + bare).seconds - 2 * SECONDS) < PADDED


@pytest.mark.parametrize("name", ["mp3", "mp3-stereo", "flac", "aac", "wav"])
def test_tags_and_pictures_are_no_sound(name: str):
    got = read(tagged(sound(name)))
    assert abs(got.seconds - read(sound(name)).seconds) < 0.06 and not got.warning


def test_a_stream_that_was_caught_in_the_middle_is_read_from_its_first_frame():
    for name in ("mp3-stereo", "aac"):
        got = read(sound(name)[333:])
        assert got.seconds > SECONDS - 0.2 and tonal(got) > 0.85


# ---- recordings that end early ----

CUT = ["wav", "wav-24", "wav-float", "wav-ima", "wav-ms", "wav-gsm", "wavex", "rifx", "rf64", "w64", "aiff", "au",
       "caf", "flac", "flac-24", "flac-pipe", "mp3", "mp3-stereo", "nist", "svx", "webm", "webm-live", "mkv-flac",
       "mp4-live", "aac", "amr", "avi", "flv"]  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_what_ends_early_is_read_to_there_and_says_so(name: str):
    data = sound(name)
    got = read(data[: len(data) * 2 // 3 + 1])
    assert "not whole" in got.warning and "\n" not in got.warning
    assert 0.3 * SECONDS < got.seconds < 0.8 * SECONDS


@pytest.mark.parametrize("name", ["vorbis", "opus", "ogg-flac"])
def test_ogg_is_read_up_to_the_page_that_is_cut(name: str):
    data = sound(name, 10.0)
    got = read(data[: len(data) * 2 // 3])
    assert "page" in got.warning and 3 < got.seconds < 7


@pytest.mark.parametrize(
    "name", ["wav", "wav-float", "wav-gsm", "aiff", "au", "caf", "w64", "rf64", "mp3", "flac", "webm"]
)
def test_sixteen_missing_bytes_are_no_reason_to_refuse_and_none_to_be_silent(name: str):
    got = read(sound(name)[:-16])
    assert got.warning and got.seconds > 0.8 * SECONDS


def test_an_mp4_whose_contents_come_first_is_read_to_where_it_ends():
    boxes = top_level(sound("m4a"))
    shift, moov = len(boxes["moov"]), bytearray(boxes["moov"])
    place = moov.index(b"stco") + 8
    count = struct.unpack(">I", moov[place : place + 4])[0]
    for number in range(count):
        at = place + 4 + 4 * number
        moov[at : at + 4] = struct.pack(">I", struct.unpack(">I", moov[at : at + 4])[0] + shift)
    rest = b"".join(data for name, data in boxes.items() if name not in ("ftyp", "moov"))
    first = boxes["ftyp"] + bytes(moov) + rest
    assert read(first).wave.equal(read(sound("m4a")).wave)
    got = read(first[: len(first) - len(rest) // 3])
    assert "missing" in got.warning and got.seconds > 0.5 * SECONDS


def test_an_mp4_without_its_contents_is_refused_and_says_why():
    with pytest.raises(AudioError, match="moov"):
        read(sound("m4a")[: len(sound("m4a")) // 2])


def test_damage_in_the_middle_is_told_and_the_rest_is_read():
    for name in ("flac", "mp3-stereo", "vorbis", "aac"):
        seconds = 60.0 if name == "vorbis" else 10.0
        data = bytearray(sound(name, seconds))
        middle = len(data) // 2
        data[middle : middle + 400] = bytes(range(200)) * 2
        got = read(bytes(data))
        assert got.warning and got.seconds > 0.6 * seconds, name


def test_what_is_whole_has_no_warning_in_any_length():
    for seconds in (0.02, 0.3, 1.2345):
        for name in ("wav", "flac", "vorbis", "opus", "mp3", "webm", "m4a"):
            assert not read(sound(name, seconds)).warning, (name, seconds)


# ---- what is none ----

UNSIZED = ("wav-pipe", "voc", "pvf", "wve", "ircam", "paf", "avr", "ac3", "mpegts")
"""Formats that do not say how long they are, so that nobody can tell where they were to end."""


@pytest.mark.parametrize("name", FORMATS)
def test_a_header_alone_is_refused_in_one_sentence(name: str):
    for size in (4, 12, 44, 100):
        try:
            got = read(sound(name)[:size])
        except VivavoceError as error:
            assert "\n" not in str(error)
        else:
            assert got.warning or name in UNSIZED


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"hello, this is a text file\n" * 40, "text"),
        (b"<!doctype html><html>not found</html>", "text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "no header"),
        ((tone()[:, 0] * 32767).astype("<i2").tobytes(), "bare samples"),
        (b"\xfb\xff" * 4000, "bare samples"),
        (b"\xff\xfb" * 4000, "bare samples"),
        (bytes(5000), "bare samples"),
        (wav(np.zeros((0, 1)), 16000), "0 samples"),
        (wav(np.where(np.arange(9000) == 5000, np.nan, 0.1), 16000), "NaN"),
        (wav(np.where(np.arange(9000) == 5000, np.inf, 0.1), 16000), "infinity"),
        (wav(np.where(np.arange(9000) == 5000, np.nan, 0.1), 16000, "DOUBLE"), "NaN"),
        (wav(tone() * 30000, 16000), "full scale"),
        (wav(np.zeros(16000), 16000), "silent"),
    ],
    ids=[  # said here: an id made of the bytes holds the second in which the WAV was written, and workers collect apart
        "empty",
        "text",
        "page",
        "picture",
        "samples",
        "steps",
        "steps-swapped",
        "zeros",
        "no-samples",
        "nan",
        "infinity",
        "nan-double",
        "integers",
        "silence",
    ],
)
def test_what_is_no_recording_gets_a_sentence(data: bytes, says: str):
    with pytest.raises(AudioError, match=says) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def test_a_film_without_sound_is_no_recording():
    av = pytest.importorskip("av", reason="PyAV (the extra 'serve') makes and reads this format")
    import io

    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    with pytest.raises(AudioError, match="no sound"):
        read(memory.getvalue())


def test_nothing_in_the_bytes_can_name_another_file(tmp_path: Path):
    (tmp_path / "secret.wav").write_bytes(sound("wav"))
    for words in (
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n",
    ):
        with pytest.raises(AudioError, match="text"):
            read(words.encode())


def test_without_pyav_the_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    data = {name: sound(name) for name in sorted(NEEDS_PYAV)}
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    for name, bytes_ in data.items():
        with pytest.raises(MissingExtra, match=r"vivavoce\[serve\]"):
            read(bytes_)
        assert name
    assert not read(sound("wav")).warning


# ---- limits ----


def test_a_small_file_that_decodes_to_days_is_stopped(monkeypatch: pytest.MonkeyPatch):
    bomb = wav(np.zeros(4000 * 60), 4000, "PCM_U8")
    with pytest.raises(AudioError, match="at most 10 s"):
        read(bomb, limit_seconds=10)
    monkeypatch.setattr(files, "_MOST_SAMPLES", 100_000)
    with pytest.raises(AudioError, match="too much at once"):
        read(bomb)


def test_decoding_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch):
    data, decoded = sound("flac", 30.0), 0
    real = decode.blocks

    def counted(*arguments: Any) -> Iterator[Any]:
        nonlocal decoded
        for block, rate in real(*arguments):
            decoded += len(block)
            yield block, rate

    monkeypatch.setattr(files, "blocks", counted)
    with pytest.raises(AudioError, match="at most 5 s"):
        read(data, limit_seconds=5)
    assert decoded < 12 * 16000
    assert read(data, first_seconds=3).seconds == 3


def test_the_length_of_a_recording_is_known_without_reading_all_of_it(tmp_path: Path):
    for name in FORMATS:
        assert abs(length_of(sound(name))[0] - read(sound(name)).seconds) < 0.03, name
    assert "missing" in length_of(sound("wav")[:-16])[1]


# ---- files ----


def test_a_pipe_is_read_to_its_end(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread = threading.Thread(target=pipe.write_bytes, args=(sound("wav-pipe"),))
    thread.start()
    assert read_recording(pipe).wave.equal(read(sound("wav-pipe")).wave)
    thread.join()


def test_a_warning_of_training_data_goes_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "a.wav").write_bytes(sound("wav")[:-16])
    read_audio(tmp_path / "a.wav")
    assert "a.wav" in caplog.text and "16 bytes" in caplog.text


# ---- the command line ----


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


GOOD = ["wav-pipe", "flac-pipe", "wav-gsm", "webm-live", "m4a", "vorbis", "mp3"]


def test_the_command_line_reads_all_of_them(tmp_path: Path):
    paths = [tmp_path / f"{name}.bin" for name in GOOD]
    for path, name in zip(paths, GOOD, strict=True):
        path.write_bytes(sound(name))
    result = run("transcribe", *paths, "--json")
    assert result.exit_code == 0, result.output
    assert not result.stderr
    assert all("transcript" in json.loads(line) for line in result.stdout.splitlines())


def test_the_command_line_says_what_is_missing(tmp_path: Path):
    path = tmp_path / "cut.wav"
    path.write_bytes(sound("wav")[:-1600])
    for command in (("transcribe",), ("ask", "--text-only")):
        result = run(command[0], path, *command[1:], "--json")
        assert result.exit_code == 0
        assert "1600 bytes" in json.loads(result.stdout)["warning"]
        assert "1600 bytes" in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert "1600 bytes" in run("tokens", "encode", path, "-o", tmp_path / "a.npz").stderr


@pytest.mark.parametrize("data", [b"", bytes(3000), b"words " * 50, b"RIFF\xff\xff\xff\xffWAVE", b"OggS" + bytes(50)])
def test_the_command_line_refuses_in_one_sentence(data: bytes, tmp_path: Path):
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    result = run("transcribe", path)
    assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1 and not result.stdout


# ---- the server ----


@pytest.fixture(scope="module")
def service() -> Iterator[Any]:
    engine = LiveEngine(fake_model(), rows=2)
    yield create_app(engine, Settings())
    engine.stop()


async def post(service: Any, path: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=service)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765", timeout=60) as http:
        return await http.post(path, **more)


async def transcription(service: Any, data: bytes, name: str = "audio.raw", **more: str) -> httpx.Response:
    form = {"model": "whisper-1", "response_format": "verbose_json"} | more
    return await post(service, "/v1/audio/transcriptions", files={"file": (name, data)}, data=form)


@pytest.mark.parametrize("name", [*GOOD, "wav", "amr", "aac"])
async def test_the_transcription_route_reads_all_of_them(service: Any, name: str):
    answer = await transcription(service, sound(name) * (2 if name in ("vorbis", "mp3") else 1))
    assert answer.status_code == 200, answer.text
    lasts = SECONDS * (2 if name in ("vorbis", "mp3") else 1)
    assert abs(answer.json()["duration"] - lasts) < PADDED
    assert WARNING not in answer.headers and "warnings" not in answer.json()


async def test_the_transcription_route_says_what_is_missing(service: Any):
    cut = sound("wav")[:-1600]
    for kind in ("json", "verbose_json", "text", "srt", "vtt"):
        answer = await transcription(service, cut, response_format=kind)
        assert answer.status_code == 200 and "1600 bytes" in answer.headers[WARNING]
        if "json" in kind:
            assert "1600 bytes" in answer.json()["warnings"][0]
    answer = await transcription(service, cut, stream="true", response_format="json")
    done = [json.loads(line[6:]) for line in answer.text.splitlines() if "transcript.text.done" in line]
    assert "1600 bytes" in done[0]["warnings"][0] and "1600 bytes" in answer.headers[WARNING]


@pytest.mark.parametrize("data", [bytes(3000), b"words " * 50, b"RIFF\xff\xff\xff\xffWAVE", sound("wav")[:30]])
async def test_every_failure_of_a_route_is_400_in_openais_shape(service: Any, data: bytes):
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"}}
    chat = {"model": "gpt-audio", "messages": [{"role": "user", "content": [part]}]}
    clip = {"files": {"recording": ("a.wav", data)}, "data": {"name": "me", "language": "en"}}
    for answer in (
        await transcription(service, data),
        await post(service, "/v1/chat/completions", json=chat),
        await post(service, "/v1/audio/voice_consents", **clip),
    ):
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error" and error["message"] and "\n" not in error["message"]


@pytest.mark.parametrize("name", ["webm-live", "m4a", "wav-pipe", "flac-pipe", "wav-gsm"])
async def test_chat_and_clips_read_them_too(service: Any, name: str):
    data = sound(name)
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"}}
    chat = {"model": "gpt-audio", "messages": [{"role": "user", "content": [part]}]}
    answer = await post(service, "/v1/chat/completions", json=chat)
    assert answer.status_code == 200, answer.text
    form = {"files": {"recording": ("a", data)}, "data": {"name": "me", "language": "en"}}
    assert (await post(service, "/v1/audio/voice_consents", **form)).status_code == 200


async def test_chat_and_clips_say_what_is_missing(service: Any):
    cut = sound("wav")[:-1600]
    part = {"type": "input_audio", "input_audio": {"data": base64.b64encode(cut).decode(), "format": "wav"}}
    chat = {"model": "gpt-audio", "messages": [{"role": "user", "content": [part]}]}
    form = {"files": {"recording": ("a", cut)}, "data": {"name": "me", "language": "en"}}
    for answer in (
        await post(service, "/v1/chat/completions", json=chat),
        await post(service, "/v1/audio/voice_consents", **form),
    ):
        assert answer.status_code == 200 and "1600 bytes" in answer.headers[WARNING]


@pytest.mark.parametrize("kind", [("webm", "libopus"), ("ipod", "aac"), ("flac", "flac", 24000, True)])
def test_a_voice_is_imitated_from_any_recording(kind: tuple[Any, ...]):
    pytest.importorskip("av", reason="PyAV (the extra 'serve') makes and reads this format")
    import vivavoce

    clip = Path(vivavoce.__file__).parent / "assistant/recordings/clip.ogg"
    rate = kind[2] if len(kind) > 2 else 48000
    data = encoded(*kind, wave=read_audio(clip, rate)[0].numpy()[:, None])
    assert vivavoce.load().mouth.imitate(data) is not None


def test_a_clip_that_is_none_is_refused_by_the_voice():
    import vivavoce

    with pytest.raises(vivavoce.VivavoceError, match="the clip"):
        vivavoce.load().mouth.imitate(b"nothing")


def test_chunks_with_another_beginning_are_no_recording(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(AudioError, match="no header of a format"):
        read_recording(b"\xff\xff\0\0" + sound("wav")[4:], 24000)
    assert not capfd.readouterr().err  # libsndfile would take the first bytes for MP3 and complain there
