"""A report: tables of rows, each a name, an estimate or "not measured", a target and a remark; as text and as JSON."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vivavoce.core.atomic import atomic_write
from vivavoce.core.errors import ConfigError
from vivavoce.evals.intervals import Estimate

NOT_MEASURED = "not measured"


def names_of(choices: Sequence[str | Path]) -> list[str]:
    """What folders (or models by name) are called in a report: by their last name, and by as much of the path before it
    as tells them apart. ConfigError for one that is given twice."""
    paths = [Path(choice).resolve() if Path(choice).exists() else Path(choice) for choice in choices]
    if len(set(paths)) < len(paths):
        twice = next(choice for choice, path in zip(choices, paths, strict=True) if paths.count(path) > 1)
        raise ConfigError(f"{twice} is given twice; name each once")
    names = [path.name for path in paths]
    for deeper in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        names = [
            name if names.count(name) == 1 else "/".join(path.parts[-deeper:])
            for name, path in zip(names, paths, strict=True)
        ]
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table."""

    name: str
    value: Estimate | None
    unit: str = "%"
    """"%" is printed as a percentage; anything else stands behind the number."""
    floor: str = ""
    remark: str = ""

    def shown(self) -> str:
        """Value and interval as people read them."""
        if self.value is None or math.isnan(self.value.value):
            return NOT_MEASURED
        scale = 100.0 if self.unit == "%" else 1.0
        value, low, high = (scale * part for part in (self.value.value, self.value.low, self.value.high))
        digits = 0 if abs(value) >= 200 else 1 if abs(value) >= 10 or self.unit == "%" else 2
        spread = "" if low == high else f" ({low:.{digits}f} to {high:.{digits}f})"
        return f"{value:.{digits}f}{' ' + self.unit if self.unit else ''}{spread}"


@dataclass(slots=True)
class Table:
    """Rows that belong together."""

    title: str
    rows: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """Everything that a suite found, and on what."""

    suite: str
    about: dict[str, Any]
    tables: list[Table] = field(default_factory=list)

    def text(self) -> str:
        """The tables in Markdown."""
        parts = []
        for table in self.tables:
            lines = [f"### {table.title}", "", "| what | measured | floor | n | remark |", "|---|---|---|---|---|"]
            for row in table.rows:
                n = row.value.n if row.value else ""
                lines.append(f"| {row.name} | {row.shown()} | {row.floor} | {n} | {row.remark} |")
            parts.append("\n".join(lines))
        return "\n\n".join(parts) + "\n"

    def json(self) -> dict[str, Any]:
        """The same, for programs; a row that was not measured has the value null."""
        tables = {
            table.title: [{**asdict(row), "value": _finite(row.value)} for row in table.rows] for table in self.tables
        }
        return {"suite": self.suite, "about": self.about, "tables": tables}

    def write(self, path: Path, *, add: bool = False) -> None:
        """Writes the JSON whole or not at all; with ``add``, other tables that are there stay (`tables_of`)."""
        made = self.json()
        if add:
            made["tables"] = tables_of(path, self.suite) | made["tables"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(made, indent=1) + "\n")


def tables_of(path: Path, suite: str) -> dict[str, Any]:
    """The tables of a report that is there, to which others are added; none where there is no file.

    ConfigError for a file that is no report, or one of another suite.
    """
    if not path.exists():
        return {}
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        found, tables = before["suite"], dict(before["tables"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path} holds no report to add to; leave --add out, or give another --out") from error
    if found != suite:
        raise ConfigError(f"{path} is a report of {found}, not of {suite}; give another --out")
    return tables


def _finite(value: Estimate | None) -> dict[str, float | int] | None:
    return None if value is None or math.isnan(value.value) else asdict(value)
