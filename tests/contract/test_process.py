"""`vivavoce serve` as a process: says where it is, refuses to be open to all, lets answers finish on SIGTERM."""

import asyncio
import datetime
import ipaddress
import json
import re
import signal
import ssl
import sys
from pathlib import Path

import httpx
import pytest
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vivavoce.core.errors import ConfigError
from vivavoce.server.settings import Settings

SERVE = [sys.executable, "-m", "vivavoce.cli.main", "serve", "--model", "fake", "--port", "0"]


async def test_an_answer_may_finish_after_sigterm(tmp_path):
    process = await asyncio.create_subprocess_exec(*SERVE, "--data", str(tmp_path), stdout=-1, stderr=-1)
    assert process.stdout and process.stderr
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        found = re.search(r"http://(\S+) ", line)
        assert found, line
        async with websockets.connect(f"ws://{found[1]}/v1/realtime?model=gpt-realtime") as socket:
            text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "word " * 40}]}
            await socket.send(json.dumps({"type": "conversation.item.create", "item": text}))
            await socket.send(json.dumps({"type": "response.create"}))
            kinds = []
            while "response.output_audio.delta" not in kinds:
                kinds.append(json.loads(await asyncio.wait_for(socket.recv(), 60))["type"])
            process.send_signal(signal.SIGTERM)
            while kinds[-1] != "response.done":
                event = json.loads(await asyncio.wait_for(socket.recv(), 60))
                kinds.append(event["type"])
            assert event["response"]["status"] == "completed"
        assert await asyncio.wait_for(process.wait(), 60) == 0
        assert b'"why": "completed"' in await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()


async def test_other_addresses_need_a_key():
    process = await asyncio.create_subprocess_exec(*SERVE, "--host", "0.0.0.0", stdout=-1, stderr=-1)
    _, error = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 2 and b"--api-key" in error


def certificate(folder: Path, password: bytes = b"") -> tuple[Path, Path]:
    """A certificate of one's own for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, pkcs8, lock))
    return files


async def test_with_a_certificate_it_is_https_and_wss(tmp_path):
    cert, key = certificate(tmp_path)
    flags = ("--data", str(tmp_path), "--tls-cert", str(cert), "--tls-key", str(key))
    process = await asyncio.create_subprocess_exec(*SERVE, *flags, stdout=-1, stderr=-1)
    assert process.stdout
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 120)).decode()
        found = re.search(r"https://(\S+) ", line)
        assert found and f"base_url=https://{found[1]}/v1" in line, line
        trust = ssl.create_default_context(cafile=cert)
        async with httpx.AsyncClient(verify=trust, timeout=60) as http:
            assert (await http.get(f"https://{found[1]}/healthz")).json()["status"] == "ok"
        url = f"wss://{found[1]}/v1/realtime?model=gpt-realtime"
        async with websockets.connect(url, ssl=trust, origin=f"https://{found[1]}") as socket:
            assert json.loads(await asyncio.wait_for(socket.recv(), 60))["type"] == "session.created"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def test_a_certificate_that_cannot_be_used_is_refused(tmp_path):
    cert, key = certificate(tmp_path)
    other, locked = tmp_path / "other", tmp_path / "locked"
    other.mkdir(), locked.mkdir()
    pairs = [(key, cert), (cert, certificate(other)[1]), (cert, None), (tmp_path / "none.pem", key)]
    for wrong in (*pairs, certificate(locked, b"secret")):
        with pytest.raises(ConfigError, match="cannot be used for TLS"):
            Settings(tls_cert=wrong[0], tls_key=wrong[1])
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    Settings(tls_cert=both)
    with pytest.raises(ConfigError, match="--tls-cert"):
        Settings(tls_key=key)
