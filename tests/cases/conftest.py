"""A server for the cases that are about the wire."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from live_server import serving


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with serving(rows=6) as url:
        yield url
