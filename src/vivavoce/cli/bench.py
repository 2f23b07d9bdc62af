"""``vivavoce bench``: the measurements of a checkout."""

from typing import Annotated

import typer


def bench(
    question: Annotated[str, typer.Argument(help="One file of bench/, without .py; the list if left out.")] = "",
    save: Annotated[bool, typer.Option("--save", help="Keep the result in bench/results.")] = False,
) -> None:
    """Runs one question of bench/, from a checkout of the repository."""
    import subprocess
    import sys
    from pathlib import Path

    import vivavoce
    from vivavoce.core.errors import ConfigError

    folder = Path(vivavoce.__file__).parents[2] / "bench"
    known = sorted(path.stem for path in folder.glob("[!_]*.py"))
    if not known:
        raise ConfigError("there is no bench/ here: it belongs to a checkout of the repository; clone it")
    if not question:
        typer.echo("\n".join(known))
        return
    if question not in known:
        raise ConfigError(f"bench/ has no question {question!r}; it has {', '.join(known)}")
    done = subprocess.run([sys.executable, str(folder / f"{question}.py"), *(["--save"] if save else [])])
    raise typer.Exit(done.returncode)
