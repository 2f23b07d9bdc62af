"""Names that people rely on, and names that we do not use."""

import ast
import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

SOURCE = Path(__file__).resolve().parents[2] / "src/vivavoce"


def test_public_names_are_frozen(snapshot: Callable[[str, Any], None]):
    names: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("__init__.py")):
        module = ".".join(("vivavoce", *path.parent.relative_to(SOURCE).parts))
        public = getattr(importlib.import_module(module), "__all__", None)
        if public is not None:
            names[module] = sorted(public)
    snapshot("names", names)


def test_every_public_name_can_be_had():
    import vivavoce

    for name in vivavoce.__all__:
        assert getattr(vivavoce, name) is not None


def test_the_command_line_is_frozen(snapshot: Callable[[str, Any], None]):
    from vivavoce.cli.main import app

    def flags(command: Any) -> Any:
        if hasattr(command, "commands"):
            return {name: flags(inner) for name, inner in sorted(command.commands.items())}
        return sorted("/".join(parameter.opts) if parameter.opts else parameter.name for parameter in command.params)

    snapshot("cli", flags(typer.main.get_command(app)))


def test_one_file_knows_the_scale_of_samples():
    """Two scales of 16-bit samples beside each other clip, or lose the last bit."""
    for path in SOURCE.rglob("*.py"):
        numbers = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        assert path == SOURCE / "audio/pcm.py" or not numbers & {32767, 32768}, path.relative_to(SOURCE)


def test_no_file_is_a_drawer():
    assert not [p for p in SOURCE.rglob("*.py") if p.stem.strip("_") in {"utils", "util", "helpers", "misc", "common"}]
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert not node.name.endswith(("Manager", "Helper", "Utils", "Base", "Impl")), f"{path}: {node.name}"


def test_a_layer_has_one_class_of_a_name():
    """Whoever reads a name in a layer need not ask which of two it is."""
    places: dict[tuple[str, str], list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE)
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault((place.parts[0], node.name), []).append(str(place))
    assert not {name: files for (_, name), files in places.items() if len(files) > 1}


def test_what_flows_and_what_is_said_have_names_that_mean_nothing_else():
    """The words of conversations and streams, and of the user's interface, are defined once in the whole package.

    The command line may call an option by the name of what it chooses.
    """
    owners = ("core/talk.py", "core/streams.py", "runtime/model.py")

    def defined(path: Path) -> set[str]:
        body = ast.parse(path.read_text()).body
        aliases = {
            t.id for node in body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
        }
        return {node.name for node in body if isinstance(node, ast.ClassDef)} | aliases

    known = {
        owner: {n for n in defined(SOURCE / owner) if n[0].isupper() and not n.isupper() and not n.endswith("T")}
        for owner in owners
    }
    known |= {"assistant/turn.py": {"Turn"}, "assistant/model.py": {"Model"}}
    for path in sorted(SOURCE.rglob("*.py")):
        place = str(path.relative_to(SOURCE))
        foreign = set().union(*(names for owner, names in known.items() if owner != place))
        assert place.startswith("cli/") or not defined(path) & foreign, f"{place}: {defined(path) & foreign}"


def test_general_layers_know_no_character():
    """What a character sells, is called or says stands in its folder; code and page take it from there."""
    layers = "audio core generate hub losses models nn runtime server systems text train".split()
    own = "coffee latte mocha espresso cappuccino milk sugar innkeeper tavern barista coppers porter breakfast"
    known = re.compile(rf"\b({'|'.join(own.split())})s?\b|coffee|innkeeper", re.IGNORECASE)
    for layer in layers:
        for path in sorted((SOURCE / layer).rglob("*")):
            if path.suffix in {".py", ".js", ".html", ".css"}:
                found = known.search(path.read_text())
                assert not found, f"{path.relative_to(SOURCE)}: {found and found[0]!r}"


def test_no_two_files_of_tests_have_one_name():
    """Tests are in no packages, so that two modules of one name cannot be collected together."""
    names = [path.name for path in Path(__file__).parents[1].rglob("test_*.py")]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def test_a_paper_over_shared_parts_is_short():
    """VALL-E is the example that newcomers read; what would make it longer belongs to a layer below."""
    assert len((SOURCE / "systems/valle.py").read_text().splitlines()) <= 150
