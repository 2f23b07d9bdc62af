"""Schemathesis: whatever our own description allows, the server answers as the description says."""

import schemathesis
from hypothesis import HealthCheck, settings

from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model
from vivavoce.server.app import create_app
from vivavoce.server.settings import Settings

APP = create_app(LiveEngine(fake_model(), rows=2), Settings(requests_per_minute=1_000_000))
schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@schema.parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_does_what_it_describes(case):
    case.call_and_validate()
