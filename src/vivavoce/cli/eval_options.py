"""What the measurements of ``vivavoce eval`` share: options, the parts of a suite, and how a report is given."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivavoce.evals.report import Report

Ears = Annotated[str, typer.Option(help="Who hears, as `vivavoce serve --ears` takes it.")]
Mind = Annotated[str, typer.Option(help="Who thinks, as `vivavoce serve --mind` takes it.")]
Speaker = Annotated[str, typer.Option(help="Who speaks, as `vivavoce serve --speaker` takes it.")]
People = Annotated[Path, typer.Option(envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl.")]
Listening = Annotated[str, typer.Option(help="The Whisper that listens, fetched before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


def give(report: "Report", out: Path, as_json: bool, add: bool = False) -> None:
    """Writes a report, beside the tables that are there if ``add``, and prints it as tables or as JSON."""
    import json

    report.write(out, add=add)
    typer.echo(json.dumps(report.json()) if as_json else report.text())
    typer.echo(f"written to {out}", err=True)


def parts_of(only: str, suite: str, parts: Iterable[str], *others: str) -> tuple[str, ...]:
    """What ``--only`` names of a suite: all ``parts`` if it names none; ``others`` are measured when named only.

    Raises ConfigError for a name that the suite does not have.
    """
    from vivavoce.core.errors import ConfigError

    known = (*parts, *others)
    named = tuple(part.strip() for part in only.split(",") if part.strip())
    if unknown := sorted(set(named) - set(known)):
        raise ConfigError(f"the suite {suite} has no part {unknown[0]!r}; its parts are {', '.join(known)}")
    return named or tuple(parts)
