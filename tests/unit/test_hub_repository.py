"""Any repository of the hub: what it lists is pinned, verified and fetched; code and pickles never are."""

import errno
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from vivavoce.assistant.speakers import speaker_of
from vivavoce.cli.main import app
from vivavoce.core.errors import PartError
from vivavoce.hub.chat_model import file_of
from vivavoce.hub.encoders import open_encoder
from vivavoce.hub.fetch import fetched, folder_of
from vivavoce.hub.repository import repository_of
from vivavoce.models.listener import Listener

WEIGHTS = bytes(range(256)) * 400
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle",
    "modeling.py": b"import os",
    "tokenizer.json": b"{}",
    "a.Q4.gguf": WEIGHTS,
    "b.Q8.gguf": WEIGHTS[::-1],
}


class Hub(BaseHTTPRequestHandler):
    """A hub with one repository that has ``files``; ``sent`` replaces what it sends for some of them."""

    files: dict[str, bytes]
    sent: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        name = self.path.removeprefix("/some/body/resolve/abc/")
        if self.path == "/api/models/some/body?blobs=true":
            body = json.dumps(self.description()).encode()
        elif name in self.files:
            type(self).asked.append(name)
            body = self.sent.get(name, self.files[name])
        else:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def description(self) -> dict[str, Any]:
        entries = []
        for name, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
            if name.endswith((".safetensors", ".gguf", ".bin")):
                entry["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            entries.append(entry)
        return {"sha": "abc", "tags": ["license:apache-2.0"], "siblings": entries}

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hub]]:
    Hub.files, Hub.sent, Hub.asked = dict(FILES), {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("VIVAVOCE_MIRRORS", raising=False)
    yield Hub
    server.shutdown()


def test_a_repository_is_fetched_without_its_code_and_pickles(hub: type[Hub]) -> None:
    done = CliRunner().invoke(app, ["models", "get", "hf:some/body"])
    assert done.exit_code == 0, done.output
    assert "Apache-2.0; some, https://huggingface.co/some/body" in done.output
    folder = folder_of("hf:some/body")
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "tokenizer.json", "model.safetensors", "model.json", "LICENCE.txt",
    }  # fmt: skip
    assert set(hub.asked) == {"config.json", "tokenizer.json", "model.safetensors"}
    described = json.loads((folder / "model.json").read_text())
    assert described["revision"] == "abc" and described["family"] == "safetensors"
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_what_is_here_and_whole_is_not_asked_for_again(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of("hf:some/body")

    def get(network: bool) -> Result:
        with monkeypatch.context() as cut:
            if not network:
                cut.setattr("socket.socket.connect", unreachable)
            return CliRunner().invoke(app, ["models", "get", "hf:some/body"])

    assert get(network=True).exit_code == 0
    done = get(network=False)
    assert done.exit_code == 0 and f"{folder} is here and whole (0 MB, revision abc)" in done.output
    weights, described = folder / "model.safetensors", folder / "model.json"
    for harm in (weights.unlink, partial(weights.write_bytes, WEIGHTS[::-1]), partial(described.write_text, "[]")):
        harm()
        done = get(network=False)
        assert done.exit_code == 2 and "perhaps this machine is offline" in done.stderr
        assert get(network=True).exit_code == 0 and weights.read_bytes() == WEIGHTS
        assert get(network=False).exit_code == 0


def unreachable(*address: object) -> None:
    raise OSError(errno.ENETUNREACH, "Network is unreachable")


def test_a_folder_is_of_one_name_only(hub: type[Hub]) -> None:
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    assert fetched("hf:some/body") is not None
    folder_of("hf:some/body").rename(folder_of("hf:any/body"))
    assert fetched("hf:any/body") is None


def test_one_gguf_file_is_named_where_there_are_several(hub: type[Hub]) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(PartError, match=r"2 GGUF files; name one: hf:some/body/a\.Q4\.gguf"):
        repository_of("hf:some/body")
    with pytest.raises(PartError, match=r"no GGUF file c\.gguf; it has a\.Q4\.gguf, b\.Q8\.gguf"):
        repository_of("hf:some/body/c.gguf")
    found = repository_of("hf:some/body/b.Q8.gguf")
    assert found.family == "gguf" and [file.name for file in found.files] == ["b.Q8.gguf"]


def test_a_gguf_file_in_a_folder_of_the_repository_lies_in_the_model_s_own(hub: type[Hub], tmp_path: Path) -> None:
    hub.files = {"../../Q4/c.gguf": WEIGHTS}
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    assert file_of("hf:some/body") == folder_of("hf:some/body") / "c.gguf"
    assert len(list(tmp_path.rglob("*.gguf"))) == 1


def test_an_architecture_that_is_not_known_is_refused_before_its_weights_are_fetched(hub: type[Hub]) -> None:
    hub.files["config.json"] = b'{"model_type": "bert"}'
    done = CliRunner().invoke(app, ["models", "get", "hf:some/body"])
    assert done.exit_code == 2 and "its architecture is bert, known are llama" in done.stderr
    assert "model.safetensors" not in hub.asked and not folder_of("hf:some/body").exists()


def test_a_model_of_which_a_part_is_here_is_none(hub: type[Hub]) -> None:
    hub.sent["model.safetensors"] = WEIGHTS[:100]
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 2
    with pytest.raises(PartError, match="fetch it: vivavoce models get hf:some/body"):
        file_of("hf:some/body")


def test_a_whisper_for_ctranslate2_is_ears(hub: type[Hub]) -> None:
    hub.files = {name: b"{}" for name in ("config.json", "tokenizer.json", "vocabulary.json")} | {"model.bin": WEIGHTS}
    found = repository_of("hf:some/body")
    assert found.kind == "ears" and {file.name for file in found.files} == set(hub.files)


def test_a_kokoro_is_a_speaker(hub: type[Hub]) -> None:
    hub.files = {"kokoro.onnx": WEIGHTS, "voices.npz": b"styles", "config.json": b"{}", "phones.py": b"import os"}
    found = repository_of("hf:some/body")
    assert (found.kind, found.family) == ("speaker", "kokoro")
    assert {file.name for file in found.files} == {"kokoro.onnx", "voices.npz", "config.json"}
    with pytest.raises(PartError, match="fetch it: vivavoce models get hf:some/body"):
        speaker_of("hf:some/body", never)
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    with pytest.raises(PartError, match=r"voices\.npz .*cannot be read"):
        speaker_of("hf:some/body", never)
    hub.files["kokoro.int8.onnx"] = WEIGHTS
    with pytest.raises(PartError, match=r"2 \.onnx files"):
        repository_of("hf:some/body")


def test_a_chat_model_of_the_hub_is_no_speaker(hub: type[Hub]) -> None:
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    with pytest.raises(PartError, match="hf:some/body is no speaker"):
        speaker_of("hf:some/body", never)


def never() -> Listener:
    raise AssertionError("nobody listens here")


def test_a_codec_is_what_its_configuration_says(hub: type[Hub]) -> None:
    hub.files["config.json"] = b'{"model_type": "mimi"}'
    found = repository_of("hf:some/body")
    assert (found.kind, found.family) == ("codec", "mimi")
    assert {file.name for file in found.files} == {"config.json", "model.safetensors"}
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    done = CliRunner().invoke(app, ["tokens", "encode", "no.wav", "-o", "no.npz", "--model", "hf:some/body"])
    assert done.exit_code == 2 and "holds no codec that can be read" in done.stderr


def test_an_encoder_is_what_its_configuration_says(hub: type[Hub]) -> None:
    hub.files["config.json"] = b'{"model_type": "hubert"}'
    hub.files["preprocessor_config.json"] = b"{}"
    found = repository_of("hf:some/body")
    assert (found.kind, found.family) == ("encoder", "hubert")
    assert {file.name for file in found.files} == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert CliRunner().invoke(app, ["models", "get", "hf:some/body"]).exit_code == 0
    with pytest.raises(PartError, match="no encoder that can be read"):
        open_encoder("hf:some/body")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_not_what_was_published_is_refused(hub: type[Hub], name: str) -> None:
    hub.sent[name] = FILES[name].swapcase() if name == "config.json" else WEIGHTS[::-1]
    done = CliRunner().invoke(app, ["models", "get", "hf:some/body"])
    assert done.exit_code == 2 and "digest differs" in done.output
    assert not (folder_of("hf:some/body") / "model.json").exists()


def test_what_cannot_be_fetched_is_said_in_one_sentence(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PartError, match="the answer is 404"):
        repository_of("hf:no/body")
    with pytest.raises(PartError, match="wanted hf:OWNER/NAME"):
        repository_of("hf:body")
    hub.files = {"pytorch_model.bin": b"pickle", "config.json": b"{}"}
    with pytest.raises(PartError, match=r"pickled weights only, .* gives the folder"):
        repository_of("hf:some/body")
    hub.files = {"README.md": b"soon", "config.json": b"{}"}
    with pytest.raises(PartError, match="no weights that can be loaded"):
        repository_of("hf:some/body")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PartError, match="offline"):
        repository_of("hf:some/body")
