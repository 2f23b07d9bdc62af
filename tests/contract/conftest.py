"""Fixtures for stock clients."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

sys.path.insert(0, str(Path(__file__).parent))

from live_server import serving, talking

from vivavoce.runtime.fake import fake_model


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with serving(rows=6) as url:
        yield url


@pytest.fixture(scope="module")
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server whose mind is what the module calls ``answer``."""
    with serving(model=fake_model(request.module.answer)) as url:
        yield url


@pytest.fixture
def asker(answering: str) -> OpenAI:
    """A client of that server."""
    return OpenAI(base_url=f"{answering}/v1", api_key="any", max_retries=0)


@pytest.fixture
def client(address: str) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)


@pytest.fixture
def talk(client: AsyncOpenAI) -> Callable[..., Any]:
    return lambda **session: talking(client, **session)
