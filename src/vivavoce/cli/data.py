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


@app.command()
def synthesise(
    sheet: Annotated[
        str, typer.Argument(help="A character: its name or its sheet (YAML); the default one if left out.")
    ] = "innkeeper",
    out: Annotated[Path, typer.Option("--out", help="Folder for the clips and their manifest.")] = Path("runs/spoken"),
    count: Annotated[int, typer.Option("--count", min=1, help="How many sentences.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of sentences, voices, rates and pitches.")] = 1,
    answers: Annotated[
        bool, typer.Option("--answers", help="The character's replies too, in our own voice, and which answers which.")
    ] = False,
) -> None:
    """Speaks what those who talk to a character say, with many voices of the synthesis programs."""
    from vivavoce.assistant.saying import streamer, whole
    from vivavoce.core.voice import Voice
    from vivavoce.data.sheet import find_sheet
    from vivavoce.data.spoken import synthesise as write
    from vivavoce.runtime.model import RATE

    say = whole(streamer("")) if answers else None
    speaks = None if say is None else lambda text: (say(text, Voice(), seed)[0], RATE)
    typer.echo(f"wrote {write(out, find_sheet(sheet), count=count, seed=seed, answers=speaks)}")


@app.command()
def sounds(
    out: Annotated[Path, typer.Option("--out", help="Folder for the sounds and their manifest.")] = Path("runs/sounds"),
    count: Annotated[int, typer.Option("--count", min=1, help="How many sounds.")] = 600,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long each is.")] = 6.0,
    rate: Annotated[int, typer.Option("--rate", min=8000, help="Samples per second.")] = 16000,
    seed: Annotated[int, typer.Option("--seed", help="Of everything that is drawn.")] = 1,
) -> None:
    """Makes sounds of places, with words for them: what a vocoder for `vivavoce train audioldm` learns from."""
    from vivavoce.data.scenes import write

    typer.echo(f"wrote {write(out, count=count, seconds=seconds, rate=rate, seed=seed)}")
