"""Schemathesis: whatever our own description allows, the server answers as the description says."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from live_server import serving
from schemathesis.specs.openapi.checks import positive_data_acceptance

from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model
from vivavoce.server.app import create_app
from vivavoce.server.settings import Settings

schemathesis.serializer.alias("application/sdp", "text/plain")
schema = schemathesis.openapi.from_dict(create_app(LiveEngine(fake_model(), rows=1, threads=0)).openapi())


@pytest.fixture(scope="module")
def generous() -> Iterator[str]:
    with serving(Settings(port=0, requests_per_minute=1_000_000), rows=4) as address:
        yield address


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_it_describes(case, generous):
    # a schema cannot say which voices exist or what is sound, so 400 may answer what it allows
    case.call_and_validate(base_url=generous, excluded_checks=[positive_data_acceptance])
