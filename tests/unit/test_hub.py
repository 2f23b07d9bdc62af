"""Fetching other people's models: whole and verified or not at all, resumed, from wherever the bytes lie."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from vivavoce.cli.main import app
from vivavoce.core.errors import PartError, StorageError
from vivavoce.hub import catalogue, fetch
from vivavoce.hub.catalogue import KnownFile, KnownModel, licence_text
from vivavoce.hub.sources import Address, InFolder, Joined, Source, mirrors, source_of

WEIGHTS = bytes(range(256)) * 9000


class Publisher(BaseHTTPRequestHandler):
    """Serves WEIGHTS; ``breaks`` is after how many bytes it hangs up, once."""

    breaks = 0
    asked: list[str | None]

    def do_GET(self) -> None:
        if self.path != "/weights":
            return self.send_error(404)
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(WEIGHTS) - begin))
        self.end_headers()
        end = type(self).breaks or len(WEIGHTS)
        type(self).breaks = 0
        self.wfile.write(WEIGHTS[begin:end])

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[str]:
    Publisher.breaks, Publisher.asked = 0, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("VIVAVOCE_MIRRORS", raising=False)
    return tmp_path / "home"


def model_of(source: Source, data: bytes = WEIGHTS) -> KnownModel:
    file = KnownFile(name="weights", bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), source=source)
    return KnownModel(
        name="somebody",
        kind="mind",
        family="gguf",
        title="Somebody",
        repository="some/body",
        revision="1",
        licence="MIT",
        credit="somebody",
        files=(file,),
    )


def test_a_model_is_fetched_verified_and_described(publisher: str, home: Path) -> None:
    model = model_of(Address(f"{publisher}/weights"))
    steps: list[int] = []
    folder = fetch.get(model, lambda name, done, total: steps.append(done))
    assert folder == home / "models/somebody" and fetch.place(model) == folder
    assert (folder / "weights").read_bytes() == WEIGHTS
    assert steps == sorted(steps) and steps[-1] == len(WEIGHTS)
    assert json.loads((folder / "model.json").read_text())["licence"] == "MIT"
    assert "Permission is hereby granted" in (folder / "LICENCE.txt").read_text()
    fetch.get(model)
    assert len(Publisher.asked) == 1  # what is here is not fetched again
    assert fetch.remove("somebody") > len(WEIGHTS) and not folder.exists()


def test_a_download_that_broke_off_goes_on_where_it_was(publisher: str) -> None:
    model = model_of(Address(f"{publisher}/weights"))
    Publisher.breaks = 1_000_000
    with pytest.raises(PartError, match="broke off after 1000000 of"):
        fetch.get(model)
    assert not fetch.is_here(model)
    fetch.get(model)
    assert Publisher.asked == [None, "bytes=1000000-"] and fetch.is_here(model)


def test_what_was_not_published_is_thrown_away(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(WEIGHTS[::-1])
    model = model_of(InFolder(wrong))
    with pytest.raises(PartError, match="not the file that was published"):
        fetch.get(model)
    folder = fetch.folder_of(model.name)
    assert not fetch.is_here(model) and not list(folder.glob("weights*"))


def test_files_that_were_tampered_with_are_no_model_any_more(tmp_path: Path) -> None:
    (tmp_path / "right").write_bytes(WEIGHTS)
    model = model_of(InFolder(tmp_path / "right"))
    (fetch.get(model) / "weights").write_bytes(b"short")
    assert not fetch.is_here(model)
    assert (fetch.get(model) / "weights").read_bytes() == WEIGHTS


def test_damage_that_leaves_the_size_is_found_when_the_model_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "right").write_bytes(WEIGHTS)
    model = model_of(InFolder(tmp_path / "right"))
    (fetch.get(model) / "weights").write_bytes(WEIGHTS[::-1])
    assert (fetch.get(model) / "weights").read_bytes() == WEIGHTS


def test_what_a_wrong_mirror_began_is_not_continued_for_ever(
    publisher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "login.html").write_bytes(b"<html>please log in</html>")
    model = model_of(Address(f"{publisher}/weights"))
    listed = tmp_path / "mirrors.json"
    listed.write_text(json.dumps({model.files[0].sha256: {"folder": str(tmp_path / "login.html")}}))
    monkeypatch.setenv("VIVAVOCE_MIRRORS", str(listed))
    assert (fetch.get(model) / "weights").read_bytes() == WEIGHTS
    assert Publisher.asked == ["bytes=26-", None]


@pytest.mark.parametrize("name", ["../weights", "/weights", "a/../../weights"])
def test_a_file_stays_in_its_model_s_folder(publisher: str, home: Path, name: str) -> None:
    model = model_of(Address(f"{publisher}/weights"))
    with pytest.raises(PartError, match="outside of the model's folder"):
        fetch.get(replace(model, files=(replace(model.files[0], name=name),)))
    assert Publisher.asked == [] and not home.exists()


@pytest.mark.parametrize("name", ["..", ".", "", "hf:", "hf:.."])
def test_what_names_no_model_removes_nothing(home: Path, name: str) -> None:
    (home / "models/somebody").mkdir(parents=True)
    (home / "voices").mkdir()
    refused = CliRunner().invoke(app, ["models", "remove", name])
    assert refused.exit_code == 2 and "is no name of a model" in refused.stderr
    assert (home / "models/somebody").is_dir() and (home / "voices").is_dir()


def test_a_token_of_the_hub_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nsecond line")
    with pytest.raises(PartError, match="HF_TOKEN") as refused:
        list(Address("https://huggingface.co/api/models/some/body").read(0))
    assert "secret" not in str(refused.value)


def test_mirrors_come_first_and_the_publisher_after_them(
    publisher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(WEIGHTS[:1000])
    (tmp_path / "b").write_bytes(WEIGHTS[1000:])
    model = model_of(Address(f"{publisher}/weights"))
    pieces = {"joined": [{"folder": str(tmp_path / "a")}, {"folder": str(tmp_path / "b")}]}
    listed = tmp_path / "mirrors.json"
    listed.write_text(json.dumps({model.files[0].sha256: [pieces]}))
    monkeypatch.setenv("VIVAVOCE_MIRRORS", str(listed))
    fetch.get(model)
    assert Publisher.asked == []
    fetch.remove(model.name)
    (tmp_path / "b").unlink()
    fetch.get(model)
    assert Publisher.asked == ["bytes=1000-"]


@pytest.mark.parametrize("begin", [0, 1, 999, 1000, 1001, len(WEIGHTS) - 1, len(WEIGHTS)])
def test_joined_pieces_can_be_read_from_anywhere(tmp_path: Path, begin: int) -> None:
    (tmp_path / "a").write_bytes(WEIGHTS[:1000])
    (tmp_path / "b").write_bytes(WEIGHTS[1000:])
    joined = Joined((InFolder(tmp_path / "a"), InFolder(tmp_path / "b")))
    assert b"".join(joined.read(begin)) == WEIGHTS[begin:]


def test_a_full_disk_is_said_before_anything_is_fetched(publisher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StorageError, match="free some space or set VIVAVOCE_DATA"):
        fetch.get(model_of(Address(f"{publisher}/weights")))
    assert Publisher.asked == []


def test_offline_and_missing_are_sentences() -> None:
    with pytest.raises(PartError, match=r"cannot be reached .* offline"):
        fetch.get(model_of(Address("http://127.0.0.1:9/weights")))


def test_what_every_mirror_lacked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(Address("http://127.0.0.1:9/weights"))
    listed = tmp_path / "mirrors.json"
    listed.write_text(json.dumps({model.files[0].sha256: {"folder": str(tmp_path / "moved")}}))
    monkeypatch.setenv("VIVAVOCE_MIRRORS", str(listed))
    with pytest.raises(PartError, match=r"moved cannot be read \(No such file.*; http.*offline; try again"):
        fetch.get(model)


def test_an_address_that_has_nothing_says_what_it_answered(publisher: str) -> None:
    with pytest.raises(PartError, match="the answer is 404"):
        fetch.get(model_of(Address(f"{publisher}/nothing")))


@pytest.mark.parametrize(
    "wrong", [{"url": "ftp://x"}, {"package": "x", "sha256": "", "member": ""}, {"joined": []}, {}]
)
def test_sources_that_are_none_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PartError, match="is no source of a file"):
        source_of(wrong)


def test_a_mirrors_file_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MIRRORS", str(tmp_path / "nowhere.json"))
    with pytest.raises(PartError, match="cannot be read"):
        mirrors()


def test_the_catalogue_is_whole() -> None:
    models = catalogue.catalogue()
    assert len({model.name for model in models}) == len(models)
    executable = (".py", ".pt", ".pth", ".pkl", ".ckpt", ".so")
    for model in models:
        assert model.kind in get_args(catalogue.Kind) and model.credit and licence_text(model.licence)
        for file in model.files:
            assert len(file.sha256) == 64 and file.bytes > 0 and not file.name.endswith(executable)
            assert not file.name.startswith("/") and ".." not in file.name


def test_the_mirrors_of_the_tests_are_of_files_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIVAVOCE_MIRRORS", str(Path(__file__).parents[1] / "mirrors.json"))
    known = {file.sha256 for model in catalogue.catalogue() for file in model.files}
    assert mirrors().keys() <= known


def test_the_commands(home: Path) -> None:
    run = CliRunner().invoke
    shown = run(app, ["models"])
    assert shown.exit_code == 0 and "whisper-base" in shown.output and "vivavoce models get" in shown.output
    for arguments, hint in ((["get", "nobody"], "known are"), (["remove", "whisper-base"], "there is no model")):
        refused = run(app, ["models", *arguments])
        assert refused.exit_code == 2 and hint in refused.stderr
    with pytest.raises(PartError, match="vivavoce models get whisper-base"):
        fetch.place(catalogue.find("whisper-base"))
