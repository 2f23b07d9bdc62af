"""What every test gets: seeds, one thread, and a way to write golden files again."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent

torch.set_num_threads(1)  # the tensors are tiny; more threads only wait for each other


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write golden files and snapshots instead of comparing")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written rather than compared."""
    return bool(request.config.getoption("--golden"))


@pytest.fixture
def snapshot(rewrite: bool) -> Callable[[str, Any], None]:
    """Compares a value with the JSON file of that name under tests/rules/snapshots."""

    def compare(name: str, value: Any) -> None:
        path = ROOT / "tests/rules/snapshots" / f"{name}.json"
        if rewrite:
            path.write_text(json.dumps(value, indent=1) + "\n")
        assert path.exists(), f"{path} is missing; `make golden` writes it"
        assert value == json.loads(path.read_text()), f"{name} changed; if that is meant, `make golden` writes it again"

    return compare
