"""`vivavoce eval tokens` from its command line: all columns, controls and files; what cannot be is said at once."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from vivavoce.assistant.demo import LINES
from vivavoce.cli.main import app
from vivavoce.core.parts import save_part
from vivavoce.evals import quality, tokens
from vivavoce.evals.token_probes import ProbeBudget
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.recipes import miniature

BEING = ["frames per second", "books", "ids per book", "bit rate", "latency"]
TOLD = [
    "ids in use, first book", "perplexity of use, first book", "frames that repeat the one before", "unigram", "bigram",
    "unigram without repeats", "bigram without repeats", "— gained by the token before",
    "bits per phone, bigram without repeats", "phone-normalised mutual information", "phone purity",
]  # fmt: skip
APART = [
    f"ABX errors {where}"
    for where in (
        "within a voice (flite, triphones)",
        "across voices (flite, triphones)",
        "within a speaker (people, any context)",
        "across speakers (people, any context)",
    )
]
LEAKS = ["speakers told by a probe (people)", "melody told by a probe, R² (flite)"]
SOUND = ["DNSMOS", "PESQ-WB", "STOI", "mel distance", "SI-SDR, dB"]
GROUPS = ["dev people, lossless", "LibriSpeech test-clean"]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["eval", "tokens", *map(str, arguments)])


@pytest.fixture
def units(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    front = SpectrumConfig()
    made = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=12)).build()
    made.quantizer.load_state_dict({**made.quantizer.state_dict(), "centers": torch.randn(12, front.dim)})
    save_part(tmp_path / "mine", "units", made.config, made)
    return tmp_path / "mine"


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Few recordings, and a suite that is over soon."""
    monkeypatch.setattr(tokens, "contrasts", list)
    monkeypatch.setattr(tokens, "_CENTRES", 8)
    monkeypatch.setattr(quality, "dnsmos", lambda wave, rate: 3.0)
    small: Any = tokens.TokenSuite

    def suite(**values: Any) -> Any:
        return small(**values | {"heard_seconds": 12.0, "sentences": 2, "budget": ProbeBudget(steps=3, frames=300)})

    monkeypatch.setattr(tokens, "TokenSuite", suite)
    return miniature.recordings(tmp_path / "speech", LINES[:6], splits=("train", "dev", "test"))


def test_one_report_has_all_columns_and_controls(units: Path, speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "tokens.json"
    done = run("--speech", speech, "--tokenizer", units, "--clips", "1", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report == json.loads(out.read_text()) and out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    tables = {title: {row["name"]: row["value"] for row in rows} for title, rows in report["tables"].items()}
    errors = ["phone errors of a probe, dev"]
    assert list(tables["mine"])[: len(BEING) + 12] == [*BEING, *errors, *TOLD]
    assert {*APART, *LEAKS} <= tables["mine"].keys()
    assert "log-mel" not in tables, "the units are made of it, so it is measured as their features"
    for control in ("features of mine", "MFCC", "random network", "listener, top layer"):
        assert {*BEING, *errors, "k-means of it, centres", *TOLD, *APART, *LEAKS} <= tables[control].keys(), control
    shipped = tables["shipped codec"]
    assert shipped["bit rate"]["value"] == 2 and 0 < shipped["entropy of use, all books"]["value"] < 2
    assert 0 < shipped["ids in use, mean of the books"]["value"] <= 1
    assert shipped["perplexity of use, mean of the books"]["value"] > 1
    for name in ("shipped codec", "shipped codec, first book", "shipped codec, 4 of 8 books", "Opus at 6 kbit/s"):
        for group in GROUPS:
            assert all(tables[name][f"{column}, {group}"] is not None for column in SOUND), name
    assert "DNSMOS, dev people, lossless" in tables["originals"]
    judged = [name for name, rows in tables.items() if any(row.startswith("gate: ") for row in rows)]
    assert judged == ["mine", "shipped codec, first book", "mine, shuffled"]


def test_units_that_are_nothing_fail_the_gate_with_status_1(units: Path, speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "gate.json"
    command = ("--speech", speech, "--tokenizer", units, "--gate", "--only", "gate", "--out", out)
    done = run(*command)
    assert done.exit_code == 1 and "mine: does not pass" in done.stderr, done.output
    assert "the teacher's" in done.stderr and "mine, shuffled (control): does not pass" in done.stderr
    assert set(json.loads(out.read_text())["tables"]) == {"mine", "shipped codec, first book", "mine, shuffled"}


def test_what_cannot_be_measured_is_said_before_the_work(
    units: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*_: object) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr(tokens, "material", worked)
    monkeypatch.setattr(tokens, "sound_rows", worked)
    there = tmp_path / "there.json"
    there.write_text("torn")
    given = ("--speech", speech, "--out", tmp_path / "out.json")
    for hint, command in {
        "mine is given twice": (*given, "--tokenizer", units, "--tokenizer", units),
        "nothing": (*given, "--tokenizer", tmp_path / "nothing"),
        "no part 'sounds'": (*given, "--only", "sounds"),
        "the gate needs": (*given, "--only", "sound", "--gate"),
        "makes no sound": (*given, "--tokenizer", units, "--only", "sound"),
        "there are no ears": (*given, "--ears", "wisper-base"),
        "holds no report": ("--speech", speech, "--out", there, "--add"),
    }.items():
        done = run(*command)
        assert done.exit_code == 2 and hint in done.stderr and len(done.stderr.splitlines()) == 1, (hint, done.output)
    assert there.read_text() == "torn" and not (tmp_path / "out.json").exists()
