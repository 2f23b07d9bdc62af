"""Clients that people use, unmodified but for address, key and model, each in an environment of its own.

``make test`` builds the environments with ``clients/build.py``; what is not there is skipped. A client's script drives
it through its own interface and prints what it saw.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.assistant.model import recording_of
from vivavoce.runtime.model import RATE
from vivavoce.text.normalise import normalise

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "clients"
ROOT = HERE.parents[2]
BUILT = Path(os.environ.get("VIVAVOCE_CLIENTS", ROOT / ".venv" / "clients"))
TLS = "node/openai.mjs"
ORDER, CHANGE = LINES[1], LINES[2]
TURNS = "an order that calls a tool, its result, a change that interrupts the answer"


@dataclass(frozen=True)
class Client:
    """A row of the table in docs/realtime.md."""

    name: str
    package: str
    script: str
    uses: str

    @property
    def folder(self) -> str:
        return self.script.partition("/")[0]

    @property
    def version(self) -> str:
        if self.folder == "node":
            return json.loads((HERE / "node/package.json").read_text())["dependencies"][self.package]
        pins = (HERE / self.folder / "requirements.txt").read_text()
        found = re.search(rf"^{self.package}==(.+)$", pins, re.MULTILINE)
        assert found, f"{self.package} is not pinned"
        return found[1]


CLIENTS = {
    client.script: client
    for client in (
        Client("pipecat, `OpenAIRealtimeLLMService`", "pipecat-ai", "pipecat/realtime.py", f"a greeting, {TURNS}"),
        Client(
            "pipecat, `OpenAISTTService`, `OpenAIRealtimeSTTService`, `OpenAITTSService`", "pipecat-ai",
            "pipecat/speech.py", "recognition of a turn, live recognition, speech",
        ),
        Client(
            "LiveKit, `AgentSession` with `RealtimeModel`", "livekit-plugins-openai", "livekit/realtime.py",
            f"a greeting, {TURNS}",
        ),
        Client(
            "LiveKit, `STT`, `TTS`", "livekit-plugins-openai", "livekit/speech.py",
            "recognition of a turn, live recognition, speech",
        ),
        Client("openai-agents, `RealtimeRunner`", "openai-agents", "agents/realtime.py", TURNS),
        Client(
            "openai-agents, `VoicePipeline`", "openai-agents", "agents/pipeline.py",
            "a recorded and a live turn through recognition, chat with a tool, and speech",
        ),
        Client("@openai/agents-realtime for Node", "@openai/agents-realtime", "node/agents.mjs", TURNS),
        Client("openai for Node", "openai", "node/openai.mjs", f"{TURNS}, over TLS"),
        Client(
            "wyoming-openai", "wyoming-openai", "wyoming/satellite.py",
            "the voices, recognition (of files, streamed, live), speech (whole, streamed, live)",
        ),
        Client(
            "LiteLLM's proxy", "litellm", "litellm/proxy.py",
            "recognition, speech, chat with a tool, a live turn with a tool",
        ),
    )
}  # fmt: skip
REQUESTS = json.loads((HERE / "requests.json").read_text())


def built(script: str) -> list[str]:
    """The command that runs a script in its client's environment; skips where there is none."""
    folder = CLIENTS[script].folder
    if not (BUILT / f"{folder}.made").exists():
        pytest.skip(f"no environment for {folder}: python tests/contract/clients/build.py {folder}")
    if folder == "node":
        node = shutil.which("node")
        if not node:
            pytest.skip("node is not installed")
        # Node looks for packages beside the script
        shutil.copy(HERE / script, BUILT / script)
        return [node, str(BUILT / script)]
    return [str(BUILT / folder / "bin/python"), str(HERE / script)]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The spoken order and its change as 16 bit, 24 kHz."""
    folder = tmp_path_factory.mktemp("sounds")
    for name, (recording, _) in (("order", ORDER), ("change", CHANGE)):
        pcm = (recording_of(RECORDINGS / recording).wave.numpy() * 32767).astype("<i2")
        (folder / f"{name}.pcm").write_bytes(pcm.tobytes())
        soundfile.write(folder / f"{name}.wav", pcm, RATE, subtype="PCM_16")
    return [str(folder / "order.pcm"), str(folder / "change.pcm")]


@contextmanager
def serving(data: Path, *options: str | Path) -> Iterator[str]:
    """The address of a server as users start it."""
    command = [sys.executable, "-m", "vivavoce.cli.main", "serve", "--port", "0", "--data", data, *options]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"https?://\S+", line)
        assert found, line
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the bundled model."""
    with serving(tmp_path_factory.mktemp("data"), "--rows", "6") as address:
        yield address


def certificate(folder: Path) -> Path:
    """A certificate for this machine, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    clear = serialization.NoEncryption()
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear)
    )
    return file


def drive(script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a client saw."""
    command = [*built(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def over_tls(folder: Path, script: str, *arguments: str) -> dict[str, Any]:
    """What a client saw that wants a certificate."""
    file = certificate(folder)
    built(script)
    with serving(folder, "--rows", "1", "--tls-cert", file) as address:
        assert address.startswith("https://")
        return drive(script, address, *arguments, NODE_EXTRA_CA_CERTS=str(file))


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, mini: str, sounds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[dict[str, Any]]]]:
    """What the clients saw whose tests were asked for; they run two at a time, as most of their time they wait."""
    modules = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    wanted = dict.fromkeys(item.callspec.params.get("script") for item in modules)
    with ThreadPoolExecutor(2) as pool:
        found = {
            script: pool.submit(over_tls, tmp_path_factory.mktemp("tls"), script, *sounds)
            if script == TLS
            else pool.submit(drive, script, mini, *sounds)
            for script in wanted
            if script
        }
        yield found


@pytest.fixture
def saw(runs: dict[str, Future[dict[str, Any]]], script: str) -> dict[str, Any]:
    """What this client saw."""
    return runs[script].result()


def heard(line: tuple[str, str]) -> str:
    return " ".join(normalise(line[1]))


FIELDS = {"roast": "dark roast", "milk": "a bit of almond milk"}


def right(call: dict[str, Any], **said: str) -> bool:
    """Whether a tool declared the client's usual way was given what was said, where it belongs."""
    return "latte" in call["drink"].split() and {name: call.get(name) for name in said} == said


def tried(*scripts: str) -> pytest.MarkDecorator:
    """These clients are run, and the test sees what they saw."""
    return pytest.mark.parametrize("script", scripts)


@tried("litellm/proxy.py")
def test_the_proxy_of_litellm(saw: dict[str, Any]):
    assert saw["heard"] == heard(ORDER) and saw["bytes"] > 20_000
    for calls in (saw["calls"], saw["live"]["calls"]):
        assert len(calls) == 1 and right(calls[0], size="large"), calls
    assert saw["live"]["errors"] == [] and "nine" in saw["said"] and "nine" in saw["live"]["said"][-1]


@tried("pipecat/realtime.py", "livekit/realtime.py", "agents/realtime.py", "node/agents.mjs", "node/openai.mjs")
def test_an_order_and_its_change(saw: dict[str, Any], script: str):
    assert saw["errors"] == []
    if "greeting" in CLIENTS[script].uses:
        assert re.match("Welcome|Good day|Well met|Greetings|Hello|Come in|Ah, a guest", saw["said"][0])
    assert saw["heard"] == [heard(ORDER), heard(CHANGE)]
    first, second = saw["calls"]
    assert right(first, size="large", **FIELDS) and right(second, size="small", **FIELDS), saw["calls"]
    assert saw["interruptions"] >= 1 and saw["bytes"] > 100_000
    assert "nine" in saw["said"][-1], "what the tool gave back is told"


@tried("pipecat/speech.py")
def test_recognition_and_speech_of_pipecat(saw: dict[str, Any]):
    assert all(part["errors"] == [] for part in saw.values())
    assert saw["files"]["heard"] == saw["live"]["heard"] == [heard(ORDER)]
    assert saw["speech"]["bytes"] > 20_000


@tried("livekit/speech.py")
def test_recognition_and_speech_of_livekit(saw: dict[str, Any]):
    assert [saw[name] for name in ("whisper-1", "gpt-4o-mini-transcribe", "live")] == [heard(ORDER)] * 3
    assert min(saw["tts-1"], saw["gpt-4o-mini-tts"]) > 0.5


@tried("agents/pipeline.py")
def test_the_voice_pipeline(saw: dict[str, Any]):
    assert saw["errors"] == [] and saw["heard"] == [heard(ORDER)] * 2
    assert len(saw["calls"]) == 2 and all(right(call, size="large", **FIELDS) for call in saw["calls"]), saw["calls"]
    assert min(saw["bytes"]) > 20_000


@tried("wyoming/satellite.py")
def test_wyoming(saw: dict[str, Any]):
    assert saw["errors"] == [] and len(saw["heard"]) == 3 and len(saw["bytes"]) == 3
    assert saw["differs"] == []  # over the live interface, too, exactly what was asked for is spoken
    assert all(text == [heard(ORDER)] for text in saw["heard"].values())
    assert min(saw["bytes"].values()) > 20_000


@pytest.mark.parametrize(
    ("client", "request_"),
    [
        pytest.param(client, request, id=f"{client['client']}: {request['why']}")
        for client in REQUESTS
        for request in client["requests"]
    ],
)
async def test_requests_as_others_send_them(
    client: dict[str, Any], request_: dict[str, Any], mini: str, sounds: list[str]
):
    given: dict[str, Any] = {"headers": request_["headers"]}
    if "json" in request_:
        given["content"] = json.dumps(request_["json"])
    if "form" in request_:
        data = Path(sounds[0]).with_suffix(".wav").read_bytes()
        kind = (request_["type"],) if request_["type"] else ()
        given |= {"data": request_["form"], "files": {"file": (request_["file"], data, *kind)}}
    async with httpx.AsyncClient(base_url=mini, timeout=60) as http:
        answer = await http.request(request_["method"], request_["path"], **given)
    assert answer.status_code == 200, answer.text
    if "sound" in request_:
        assert answer.headers["content-type"] == request_["sound"]
        with soundfile.SoundFile(io.BytesIO(answer.content)) as sound:
            assert sound.frames > 0.3 * sound.samplerate
    elif "reads" in request_:
        outer, *inner = request_["reads"]
        assert answer.json()[outer] and all(set(inner) <= set(row) for row in answer.json()[outer])
    else:
        assert answer.json()["text"] == heard(ORDER)


def test_the_table_of_clients_is_what_is_tried(rewrite: bool):
    rows = ["| client | version | what it does here |", "|---|---|---|"]
    rows += [f"| {client.name} | {client.version} | {client.uses} |" for client in CLIENTS.values()]
    for row in REQUESTS:
        rows.append(f"| {row['client']} | – | its requests, written down from its source; not the program |")
    begin, end = "<!-- clients: begin -->\n", "\n<!-- clients: end -->"
    document = ROOT / "docs/realtime.md"
    before, rest = document.read_text().split(begin)
    shown, after = rest.split(end.strip("\n"))
    if rewrite:
        document.write_text(before + begin + "\n".join(rows) + end + after)
    else:
        assert shown.strip() == "\n".join(rows), (
            "docs/realtime.md is stale: pytest --golden tests/contract/test_clients.py"
        )
