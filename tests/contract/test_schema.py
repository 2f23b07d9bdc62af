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


PATHS = """
    /v1/audio/speech /v1/audio/transcriptions /v1/audio/translations /v1/audio/voices /v1/audio/voices/{voice_id}
    /v1/audio/voice_consents
    /v1/audio/voice_consents/{consent_id} /v1/chat/completions /v1/responses
    /v1/responses/{response_id} /v1/models /v1/models/{model} /v1/realtime/calls
    /v1/realtime/calls/{call_id}/hangup /v1/realtime/client_secrets /healthz /metrics
""".split()


def test_the_description_is_complete_and_true():
    app = create_app(LiveEngine(fake_model(), rows=1, threads=0))
    described = app.openapi()
    operations = {(path, method): o for path, all_of in described["paths"].items() for method, o in all_of.items()}
    assert {path for path, _ in operations} >= set(PATHS)
    for (path, method), operation in operations.items():
        assert operation["summary"] and operation["description"], (path, method)
        assert "422" not in operation["responses"]  # what is invalid is answered with 400
        assert ("security" in operation) == (path.startswith("/v1/") or path == "/metrics")
        assert "429" in operation["responses"] or "security" not in operation
        fine = [status for status in operation["responses"] if status < "300"]
        assert bool(fine) == (operation["summary"] != "Not supported"), (path, method)
    served = [(route.path, method) for route in app.routes for method in getattr(route, "methods", None) or ()]
    assert len(set(served)) == len(served)  # a second one would never answer, and be described in place of the first
    assert operations["/v1/audio/translations", "post"]["summary"] != "Not supported"
    assert "HTTPValidationError" not in described["components"]["schemas"]
    sound = described["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]["application/json"]
    assert "choices" in sound["schema"]["required"]


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
