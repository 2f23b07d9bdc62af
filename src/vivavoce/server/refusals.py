"""How requests are refused: every error of the program and of HTTP as OpenAI's error object."""

import re

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from vivavoce.core.errors import CapacityError, ConsentError, StorageError, VivavoceError, VoiceError
from vivavoce.server.names import UnknownModel
from vivavoce.server.problems import NotFound, Problem, problem_of
from vivavoce.server.replies import FAILED, error_body
from vivavoce.server.service import Service

FORMS = ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/voice_consents")
"""What takes a form and not JSON."""
HTTP_CODES = {400: "invalid_value", 404: "not_found", 405: "method_not_supported", 413: "too_large"}


def add(app: FastAPI, service: Service) -> None:
    """Has the application answer with them."""

    def answer(status: int, message: str, code: str | None, param: str | None = None) -> JSONResponse:
        service.metrics.errors.labels(code or str(status)).inc()
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return JSONResponse(error_body(message, code, param, kind), status)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        found = problem_with(request, error)
        return answer(400, found.message, found.code, found.param)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return answer(404 if isinstance(error, NotFound) else 400, error.message, error.code, error.param)

    @app.exception_handler(UnknownModel)
    async def unknown(_: Request, error: UnknownModel) -> Response:
        return answer(404, str(error), "model_not_found", "model")

    @app.exception_handler(VivavoceError)
    async def ours(_: Request, error: VivavoceError) -> Response:
        if isinstance(error, CapacityError):
            return answer(503, str(error), "capacity")
        if isinstance(error, ConsentError):
            return answer(403, str(error), "consent_required", "consent")
        if type(error) in FAILED:  # an endpoint's fault, which may pass: clients ask again
            return answer(502, str(error), FAILED[type(error)])
        if isinstance(error, StorageError):
            return answer(507, str(error), "storage")
        return answer(400, str(error), "invalid_value", "voice" if isinstance(error, VoiceError) else None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        path, allowed = request.url.path, _allowed(app, request.url.path)
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        code, message = HTTP_CODES.get(error.status_code), str(error.detail)
        if error.status_code == 404:
            message = f"There is no {path} on this server; OpenAI's paths begin with /v1."
            if path == "/v1/realtime":
                message = "Live conversations are a WebSocket; connect to it with ws:// or wss://."
        elif error.status_code == 405:
            message = f"{request.method} is not possible at {path}; {allowed} is."
        response = answer(error.status_code, message, code)
        response.headers.update(error.headers or {})
        if error.status_code == 405:
            response.headers["Allow"] = allowed
        return response


def _allowed(app: FastAPI, path: str) -> str:
    """The methods that a path has, over all its routes."""
    methods: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(template)), path):
            methods |= {method.upper() for method in operations}
    return ", ".join(sorted(methods)) or "GET"


def problem_with(request: Request, error: RequestValidationError) -> Problem:
    """What is wrong with the body, the path or the query, and what to send instead."""
    errors = error.errors()
    if errors[0]["type"] == "json_invalid":
        return Problem("The body is not JSON.", "invalid_json")
    given = request.headers.get("content-type", "").split(";")[0].strip().lower()
    wanted = "multipart/form-data" if request.url.path in FORMS else "application/json"
    kinds = ("multipart/form-data", "application/x-www-form-urlencoded") if request.url.path in FORMS else (wanted,)
    body_is_wrong = any(found["loc"][0] == "body" for found in errors)
    if body_is_wrong and given and given not in kinds:
        message = f"Send the body as {wanted}; '{given}' is not understood here."
        return Problem(message, "unsupported_content_type", "body")
    inside = [found for found in errors if found["loc"][0] == "body" and len(found["loc"]) > 1]
    if not inside and body_is_wrong:
        missing = errors[0]["type"] == "missing"
        message = f"The 'body' is {'missing' if missing else 'no JSON object'}; send a JSON object."
        return Problem(message, "missing_required_parameter" if missing else "invalid_type", "body")
    if not inside:  # the path or the query
        name = str(errors[0]["loc"][-1])
        return Problem(f"Invalid value for '{name}': {errors[0]['msg']}.", "invalid_value", name)
    if "UploadFile" in inside[0]["msg"]:
        name = str(inside[0]["loc"][-1])
        return Problem(f"Invalid value for '{name}': it is text; send a file.", "invalid_type", name)
    body = dict(error.body) if isinstance(error.body, FormData) else error.body
    found = problem_of([{**each, "loc": each["loc"][1:]} for each in inside], body)
    return Problem(found.message, found.code, found.param or None)
