"""Whole folders of recordings as token files and back: nothing is dropped in silence, work that was ended goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner, Result

from vivavoce.assistant import token_corpora, token_files, tokens
from vivavoce.cli.main import app
from vivavoce.core.parts import load_part, save_part
from vivavoce.data.tokens import LIST, TokenCorpus
from vivavoce.models.codec import mel_codec
from vivavoce.nn.convnext import ConvNeXtConfig

THIN = ConvNeXtConfig(dim=16, depth=1)
THIN_PARTS: dict[str, Any] = {"encode_fine": THIN, "encode_coarse": THIN, "decode_coarse": THIN, "decode_fine": THIN}
NOISE = 0.2 * np.random.default_rng(1).standard_normal(48_000).astype(np.float32)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("codec")
    made = mel_codec(books=3, size=16, code_dim=8, **THIN_PARTS).build()
    made.quantizer.start(0.3 * torch.randn(4, made.config.front.dim, 32))
    save_part(folder, "codec", made.config, made)
    return folder


def speech(folder: Path) -> Path:
    """Five recordings in two folders, two of them of one stem; one that is none; and files that are no sound."""
    (folder / "deep" / "er").mkdir(parents=True)
    for number, name in enumerate(("b.wav", "deep/a.wav", "deep/a.flac", "deep/er/c.WAV")):
        soundfile.write(folder / name, NOISE[number * 3_000 : number * 4_000 + 9_000], 24_000)
    (folder / "deep" / "broken.wav").write_text("no sound at all\n" * 9)
    (folder / "notes.txt").write_text("who said what")
    (folder / ".hidden.wav").write_text("of an editor")
    return folder


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["tokens", *map(str, arguments)])


def test_a_folder_there_and_back(codec: Path, tmp_path: Path) -> None:
    source, coded, said = speech(tmp_path / "in"), tmp_path / "tokens", tmp_path / "said"
    model = ("--model", codec)
    done = run("encode", source, "-o", coded, *model)
    assert done.exit_code == 2, done.output
    lines = done.stderr.strip().splitlines()
    assert lines[0] == "vivavoce: left out by their names: 1 .txt"
    assert len(lines) == 2 and "broken.wav" in lines[1]
    assert "4 token files" in done.stdout and "1 could not be made" in done.stdout
    assert "hours of sound an hour" in done.stdout
    names = {"b.npz", "deep/a.wav.npz", "deep/a.flac.npz", "deep/er/c.npz"}
    assert {str(path.relative_to(coded)) for path in coded.rglob("*") if path.is_file()} == names
    opened = load_part(codec, "codec")
    for name, sound in zip(sorted(names), ("b.wav", "deep/a.flac", "deep/a.wav", "deep/er/c.WAV"), strict=True):
        one = tokens.encode(opened, source / sound)
        again = tokens.load(opened, coded / name)
        assert torch.equal(again.codes.data, one.codes.data) and again.samples == one.samples
    done = run("decode", coded, "-o", said, *model)
    assert done.exit_code == 0 and "4 sound files" in done.stdout, done.output
    assert soundfile.info(said / "deep/er/c.wav").frames == soundfile.info(source / "deep/er/c.WAV").frames
    (coded / "deep" / "a.wav.npz").write_bytes(b"torn")
    done = run("decode", coded, "-o", said, *model, "--books", "2")
    assert done.exit_code == 2 and "3 sound files" in done.stdout
    assert "a.wav.npz is no token file" in done.stderr


def test_what_fits_is_kept_and_what_changed_is_made_again(codec: Path, tmp_path: Path) -> None:
    source, coded = speech(tmp_path / "in"), tmp_path / "tokens"
    (source / "deep" / "broken.wav").unlink()
    model = ("--model", codec)
    run("encode", source, "-o", coded, *model)
    before = {path: path.stat().st_mtime_ns for path in coded.rglob("*.npz")}
    done = run("encode", source, "-o", coded, *model)
    assert done.exit_code == 0 and "0 token files" in done.stdout and "4 were there and are kept" in done.stdout
    soundfile.write(source / "b.wav", NOISE[:7_000], 24_000)
    (coded / "deep" / "a.wav.npz").write_bytes(b"torn")
    done = run("encode", source, "-o", coded, *model)
    assert "2 token files" in done.stdout and "2 were there" in done.stdout
    changed = {path.name for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed == {"b.npz", "a.wav.npz"}
    assert "4 token files" in run("encode", source, "-o", coded, *model, "--books", "2").stdout


def test_work_that_was_killed_goes_on(codec: Path, tmp_path: Path) -> None:
    source, coded = tmp_path / "in", tmp_path / "tokens"
    source.mkdir()
    for number in range(60):
        soundfile.write(source / f"{number:02}.wav", np.tile(NOISE, 5), 24_000)
    command = [sys.executable, "-m", "vivavoce.cli.main", "tokens", "encode", source, "-o", coded, "--model", codec]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    while started.poll() is None and len(list(coded.glob("[0-9]*.npz"))) < 3:
        time.sleep(0.005)
    started.send_signal(signal.SIGKILL)
    started.wait()
    there = len(list(coded.glob("[0-9]*.npz")))
    assert 3 <= there < 60
    opened = load_part(codec, "codec")
    for path in coded.glob("[0-9]*.npz"):
        tokens.load(opened, path)
    done = run("encode", source, "-o", coded, "--model", codec)
    assert f"{60 - there} token files" in done.stdout and f"{there} were there" in done.stdout


def test_a_manifest_and_a_corpus_of_it(codec: Path, tmp_path: Path) -> None:
    source, coded, corpus = speech(tmp_path / "in"), tmp_path / "tokens", tmp_path / "corpus"
    listed = [("b/1", "b.wav"), ("c", "deep/er/c.WAV")]
    about = {"split": "train", "speaker": "x", "sample_rate": 24_000, "licence": "CC0"}
    rows = [
        {"id": name, "path": path, "seconds": soundfile.info(source / path).duration, **about} for name, path in listed
    ]
    (source / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for given in (source, source / "manifest.jsonl"):
        done = run("encode", given, "-o", coded, "--model", codec)
        assert done.exit_code == 0, done.output
        assert {str(path.relative_to(coded)) for path in coded.rglob("*.npz")} == {"b.npz", "deep/er/c.npz"}
    assert run("corpus", source, "--part", codec, "-o", corpus).exit_code == 0
    said, alone = tmp_path / "said", tmp_path / "alone.wav"
    done = run("decode", corpus, "-o", said, "--model", codec)
    assert done.exit_code == 0 and "2 sound files" in done.stdout, done.output
    run("decode", coded / "b.npz", "-o", alone, "--model", codec)
    assert np.array_equal(soundfile.read(said / "b%2F1.wav")[0], soundfile.read(alone)[0])
    refusals = {
        "name with --model the folder of what made it": (),
        "4 books were asked for": ("--model", codec, "--books", "4"),
    }
    for hint, more in refusals.items():
        done = run("decode", corpus, "-o", said, *more)
        assert done.exit_code == 2 and hint in done.stderr and len(done.stderr.splitlines()) == 1, done.output
    for name, torn in (("codes/ids.bin", b"torn"), ("codes/index.json", b"{}"), (LIST, b"\xff"), (LIST, b"{}\n")):
        (corpus / name).write_bytes(torn)
        done = run("decode", corpus, "-o", said, "--model", codec)
        assert done.exit_code == 2 and "is damaged and cannot be read; delete it" in done.stderr, done.output


def listed(source: Path, *, text: str = "so it is") -> None:
    """A manifest of all that has a sound's name."""
    about = {"split": "train", "speaker": "x", "sample_rate": 24_000, "licence": "CC0", "seconds": 0.3, "text": text}
    paths = sorted(path.relative_to(source) for path in source.rglob("*") if path.suffix in (".wav", ".flac"))
    rows = [{"id": str(path), "path": str(path), **about} for path in paths if not path.name.startswith(".")]
    (source / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_corpus_leaves_out_what_cannot_be_read_and_says_so(codec: Path, tmp_path: Path) -> None:
    source, out = speech(tmp_path / "in"), tmp_path / "corpus"
    listed(source)
    command = ("corpus", source, "--part", "phones", "--part", codec, "-o", out)
    for again in (False, True):
        done = run(*command)
        assert done.exit_code == 2, done.output
        assert "1 recordings are left out" in done.stdout
        assert ("hours of sound an hour" in done.stdout) is not again
        assert ("broken.wav" in done.stderr) is not again  # it has not changed, so it is not read again
        corpus = TokenCorpus(out)
        assert [one.id for one in corpus.utterances] == ["b.wav", "deep/a.flac", "deep/a.wav"]
        assert set(corpus.specs) == {"phones", "codes"}
    (why,) = (out / "left-out.jsonl").read_text().splitlines()
    assert json.loads(why)["id"] == "deep/broken.wav" and "broken.wav" in json.loads(why)["why"]
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    soundfile.write(source / "deep" / "broken.wav", NOISE[:9_000], 24_000)
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert len(TokenCorpus(out)) == 4 and not (out / "left-out.jsonl").exists()
    for path in source.rglob("*.wav"):
        path.write_text("no sound\n" * 9)
    (source / "deep" / "a.flac").unlink()
    done = run("corpus", source, "--part", codec, "-o", tmp_path / "none")
    assert done.exit_code == 2 and "could be made tokens" in done.stderr and "a.flac" in done.stderr


def test_a_corpus_that_was_ended_goes_on(codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = speech(tmp_path / "in"), tmp_path / "corpus"
    (source / "deep" / "broken.wav").unlink()
    listed(source)
    seen: list[str] = []

    def ended(codec: Any, path: Path, *rest: Any) -> Any:
        if path.name == "a.wav" and "a.wav" not in seen:
            seen.append(path.name)
            raise KeyboardInterrupt
        seen.append(path.name)
        return tokens.encode(codec, path, *rest)

    monkeypatch.setattr(token_corpora, "encode", ended)
    with pytest.raises(KeyboardInterrupt):
        token_corpora.corpus(source, [str(codec)], out)
    assert sorted(seen) == ["a.flac", "a.wav", "b.wav"]
    seen[:] = ["a.wav"]
    assert token_corpora.corpus(source, [str(codec)], out) == 0
    assert seen == ["a.wav", "a.wav"]
    opened = load_part(codec, "codec")
    wanted = tokens.encode(opened, source / "deep" / "a.flac").codes.data[0]
    assert torch.equal(TokenCorpus(out).items(1)["codes"], wanted)


def test_what_cannot_be_asked_of_a_folder_is_one_sentence(codec: Path, tmp_path: Path) -> None:
    source, coded, empty = speech(tmp_path / "in"), tmp_path / "tokens", tmp_path / "empty"
    empty.mkdir()
    model = ("--model", codec)
    refusals = {
        "give -o FOLDER": ("encode", source, "-o", tmp_path / "all.npz", *model),
        "has no recordings": ("encode", empty, "-o", coded, *model),
        "has no token files": ("decode", empty, "-o", tmp_path / "said", *model),
        "give -o another folder": ("decode", source, "-o", source, *model),
        "4 books were asked for": ("encode", source, "-o", coded, "--books", "4", *model),
        "the manifest": ("encode", tmp_path / "none.jsonl", "-o", coded, *model),
    }
    for hint, command in refusals.items():
        done = run(*command)
        assert done.exit_code == 2 and hint in done.stderr, (hint, done.output)
        assert "4 books" in hint or len(done.stderr.strip().splitlines()) == 1
    assert not coded.exists()


def test_a_disk_that_is_full_ends_the_work(codec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = speech(tmp_path / "in")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    done = run("encode", source, "-o", tmp_path / "tokens", "--model", codec)
    assert done.exit_code == 2 and done.stderr.count("the disk is full") == 1, done.output
    assert not list((tmp_path / "tokens").rglob("*.npz"))


def test_files_are_found_through_links_once(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.wav").touch()
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "linked").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "round").symlink_to(tmp_path / "here")
    listed = token_files.recordings_in(tmp_path / "all", tmp_path / "out")
    assert listed.pairs == [(tmp_path / "all/linked/a.wav", tmp_path / "out/linked/a.npz")]
