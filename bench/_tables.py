"""Tables of the documents, made by ``cog`` from what is kept in bench/results; nothing is typed in by hand."""

import json
from typing import Any

from _report import RESULTS, latest


def evaluation(suite: str) -> str:
    """The tables of ``vivavoce eval SUITE``, floors beside them."""
    path = RESULTS / f"{suite}.json"
    if not path.exists():
        command = f"vivavoce eval {suite} --out bench/results/{suite}.json"
        return f"\nNot measured yet: `{command}` writes what belongs here.\n\n"
    report = json.loads(path.read_text())
    lines = ["", "| what | measured (95 % interval) | floor | n |", "|---|---|---|---|"]
    for title, rows in report["tables"].items():
        lines.append(f"| **{title}** | | | |")
        for row in rows:
            value = row["value"]
            lines.append(f"| {row['name']} | {_shown(row)} | {row['floor']} | {value['n'] if value else ''} |")
    return "\n".join([*lines, "", ""])


SUMMARY = (
    ("mini", "unseen voices of known engines, clean", "spoken orders, every slot right"),
    ("mini", "unseen voices of known engines, 6 dB", "... in as much noise as 6 dB leaves"),
    ("mini", "calls from noise", "orders heard in noise where nobody speaks"),
    ("mini", "ours / flite's", "word errors of what it says, against flite's"),
    ("mini", "first audio after the last input sample", "first sound after a recording's end"),
    ("turns", "onset to pause, interruption", "an interruption's beginning to our pause, median and 95 %"),
    ("turns", "missed interruptions", "interruptions missed"),
    ("turns", "cut-ins on pauses of people who read", "pauses of readers that it cuts into"),
    ("mini", "memory", "memory"),
)
"""What the README shows: the table, its row, and how it is called for somebody who reads nothing else."""


def summary() -> str:
    """The rows that a newcomer wants to see."""
    lines = ["", "| what | measured | at most or at least |", "|---|---|---|"]
    mini = json.loads((RESULTS / "mini.json").read_text())["tables"]
    shown = {("mini", row["name"]): (_shown(row), row["floor"]) for rows in mini.values() for row in rows}
    played = json.loads((RESULTS / "turns.json").read_text())["rows"]
    shown |= {("turns", name): (measured, target) for name, measured, target in played}
    for table, name, told in SUMMARY:
        if (table, name) in shown:
            lines.append(f"| {told} | {' | '.join(shown[table, name])} |")
    return "\n".join([*lines, "", ""])


def turns() -> str:
    """What ``vivavoce eval turns`` found."""
    path = RESULTS / "turns.json"
    if not path.exists():
        return "\nNot measured yet: `vivavoce eval turns --out bench/results/turns.json` writes what belongs here.\n\n"
    rows = json.loads(path.read_text())["rows"]
    lines = ["", "| what | measured | target |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), "", ""])


BEING = (("bit rate", "kbit/s"), ("frames per second", "frames/s"), ("latency", "latency, ms"))
"""What a tokenizer is, before anything is measured."""
TOLD = (
    ("phone errors of a probe, AN4", "phone errors %, AN4"),
    ("phone errors of a probe, audiobooks", "audiobooks"),
    ("unigram without repeats", "unigram, nats"),
    ("— gained by the token before", "gained by the one before"),
    ("frames that repeat the one before", "repeats %"),
    ("phone-normalised mutual information", "PNMI"),
    ("ABX errors within a voice (flite, triphones)", "ABX % within a voice"),
    ("ABX errors across voices (flite, triphones)", "across"),
    ("speakers told by a probe (people)", "speakers told %"),
    ("melody told by a probe, R² (flite)", "melody, R²"),
)
HEARD = (
    *(
        (f"{name}, {group}", f"{name}{short}")
        for group, short in (("dev people, lossless", ""), ("LibriSpeech test-clean", ", test-clean"))
        for name in ("PESQ-WB", "STOI")
    ),
    ("mel distance, LibriSpeech test-clean", "mel distance"),
    ("SI-SDR, dB, LibriSpeech test-clean", "SI-SDR, dB"),
    ("speaker similarity, LibriSpeech test-clean", "speaker similarity"),
    ("DNSMOS, LibriSpeech test-clean", "DNSMOS"),
    ("word errors, LibriSpeech test-clean", "word errors %"),
)


def tokens(file: str, columns: tuple[tuple[str, str], ...]) -> str:
    """A row for each tokenizer of a report of ``vivavoce eval tokens``."""
    path = RESULTS / f"{file}.json"
    if not path.exists():
        return (
            f"\nNot measured yet: `vivavoce eval tokens --out bench/results/{file}.json` writes what belongs here.\n\n"
        )
    tables = json.loads(path.read_text())["tables"]
    known = {title: {row["name"]: row for row in rows} for title, rows in tables.items()}
    wanted = [
        (name, short) for name, short in (*BEING, *columns) if any(_brief(rows.get(name)) for rows in known.values())
    ]
    judged = any(name.startswith("gate: ") for rows in known.values() for name in rows)
    heads = ["tokens", *(short for _, short in wanted), *(["gate"] if judged else [])]
    lines = ["", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for title, rows in known.items():
        cells = [_brief(rows.get(name)) for name, _ in wanted]
        said = [row["remark"] == "holds" for name, row in rows.items() if name.startswith("gate: ")]
        gate = ["passes" if said and all(said) else "does not pass" if said else ""] if judged else []
        if any(cells[sum(name in dict(BEING) for name, _ in wanted) :]):
            lines.append(f"| {' | '.join([title, *cells, *gate])} |")
    return "\n".join([*lines, "", ""])


def _brief(row: dict[str, Any] | None) -> str:
    """A number as narrow as it can be: shares in hundreds, without their unit."""
    if row is None or row["value"] is None:
        return ""
    value = row["value"]["value"]
    if row["unit"] == "%" or row["name"].startswith("word errors"):
        return f"{100 * value:.1f}"
    return f"{value:g}" if row["name"] in dict(BEING) else f"{value:.2f}"


def _shown(row: dict[str, Any]) -> str:
    value = row["value"]
    if value is None:
        return "not measured"
    scale, digits = (100, 1) if row["unit"] == "%" else (1, 0 if abs(value["value"]) >= 50 else 2)
    numbers = [f"{scale * value[key]:.{digits}f}" for key in ("value", "low", "high")]
    spread = "" if value["low"] == value["high"] else f" ({numbers[1]} to {numbers[2]})"
    return f"{numbers[0]}{' ' + row['unit'] if row['unit'] else ''}{spread}"


def question(name: str) -> str:
    """The rows of the latest kept result of one question, with the machine it ran on."""
    result = latest(name)
    if result is None:
        return f"\nNot measured yet: `vivavoce bench {name} --save` writes what belongs here.\n\n"
    columns = list(dict.fromkeys(key for row in result["rows"] for key in row))
    tails = bool(result.get("tails"))
    lines = ["", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(_cell(row.get(column, ''), tails) for column in columns)} |" for row in result["rows"]]
    about = result["machine"]
    if tails:
        lines.append("\nThree numbers are p50 / p95 / p99.")
    lines.append(f"\n{about['cpu']}, {about['cores']} cores, commit {result['commit']}.")
    return "\n".join([*lines, "", ""])


def _cell(value: Any, tails: bool) -> str:
    if isinstance(value, dict) and "p50" in value:
        if tails:
            return f"{value['p50']:.3g} / {value['p95']:.3g} / {value['p99']:.3g}"
        return f"{value['p50']:.3g} ({value['low']:.3g} to {value['high']:.3g})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def characters() -> str:
    """The gallery, with a sound of each."""
    from vivavoce.core.gallery import GALLERY

    lines = ["", "| name | how it sounds | |", "|---|---|---|"]
    for name, portrait in GALLERY.items():
        person = f", identity {portrait.identity}" if portrait.identity else ""
        lines.append(
            f"| {name} | {portrait.description}{person} | [play](sounds/voices/{name.replace(' ', '-')}.ogg) |"
        )
    return "\n".join([*lines, "", ""])
