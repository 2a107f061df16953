"""Checks of server responses against the contract, by a library that the server does not use."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012


def check_response(response: httpx.Response) -> None:
    """Raise AssertionError for a response that violates the contract; an httpx event hook that skips streams."""
    assert response.headers["x-request-id"].startswith("req_")
    if response.status_code == 204:
        assert "content-type" not in response.headers
        return
    if response.headers["content-type"] != "application/json":
        assert response.is_success
        assert response.headers["content-type"].partition(";")[0] in ("text/event-stream", "application/octet-stream")
        return
    response.read()
    assert "Traceback" not in response.text
    if response.is_error:
        body = response.json()
        assert component("Error", body) is None
        assert body["request_id"] == response.headers["x-request-id"]
    _validate(response)


def component(name: str, value: Any) -> str | None:
    """Return how a value violates the contract's component ``name``, or None."""
    registry = Registry().with_resource("urn:spec", DRAFT202012.create_resource(_document()))
    validator = Draft202012Validator({"$ref": f"urn:spec#/components/schemas/{name}"}, registry=registry)
    error = next(validator.iter_errors(value), None)
    return None if error is None else str(error)


def _validate(response: httpx.Response) -> None:
    # Imported here, because that takes longer than everything else that many processes of the tests import.
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.templating.responses.exceptions import ResponseNotFound
    from openapi_core.testing import MockRequest, MockResponse

    url = response.request.url
    request = MockRequest("https://api.claude.ai", response.request.method.lower(), url.path)
    mock = MockResponse(
        response.content,
        response.status_code,
        headers=dict(response.headers),
        content_type=response.headers.get("content-type", "").partition(";")[0],
    )
    try:
        _contract().validate_response(request, mock)
    except ResponseNotFound:
        assert response.is_error
    except OpenAPIError as error:
        if not response.is_error:
            raise AssertionError(f"{response.request.method} {url.path}: {error} ({error.__cause__})") from error


@cache
def _document() -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads((files("claude_code_api") / "openapi.json").read_bytes())
    return document


@cache
def _contract() -> Any:
    from openapi_core import Config, OpenAPI

    return OpenAPI.from_dict(dict(_document()), config=Config(spec_validator_cls=None))
