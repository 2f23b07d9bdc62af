"""Schemathesis: whatever our own description allows, the server answers as the description says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from live_server import serving

from vivavoce.server.settings import Settings


@pytest.fixture(scope="module")
def described() -> Iterator[object]:
    with serving(Settings(port=0, requests_per_minute=1_000_000), rows=4) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


schema = schemathesis.pytest.from_fixture("described")


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_it_describes(case):
    case.call_and_validate()
