"""``vivavoce data``: manifests, characters and synthetic speech."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Check manifests, make training data from a character's sheet.")


@app.command()
def check(manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl, or the folder it is in.")]) -> None:
    """Says what a manifest holds and what is wrong with it; exit status 2 if anything is."""
    from vivavoce.data.manifest import check as inspect

    report = inspect(manifest / "manifest.jsonl" if manifest.is_dir() else manifest)
    for line in report.lines():
        typer.echo(line)
    if report.problems:
        raise typer.Exit(2)
