"""Names that people rely on, and names that we do not use."""

import ast
import importlib
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


def test_no_file_is_a_drawer():
    assert not [p for p in SOURCE.rglob("*.py") if p.stem.strip("_") in {"utils", "util", "helpers", "misc", "common"}]
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                assert not node.name.endswith(("Manager", "Helper", "Utils", "Base", "Impl")), f"{path}: {node.name}"


def test_no_module_keeps_a_state():
    """State belongs to the caller: no class with ``step`` sets an attribute outside its constructor."""
    for layer in ("nn", "models", "generate"):
        for path in (SOURCE / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and any(method.name == "step" for method in methods(node)):
                    for method in methods(node):
                        where = f"{path.relative_to(SOURCE)}: {node.name}.{method.name}"
                        for target, value in assigned(method):
                            assert method.name == "__init__", f"{where} sets self.{target}"
                            assert "State(" not in value and "init_state(" not in value, f"{where} keeps a state"


def methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [item for item in node.body if isinstance(item, ast.FunctionDef)]


def assigned(method: ast.FunctionDef) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(method):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
                found.append((target.attr, ast.unparse(node.value) if node.value else ""))
    return found
