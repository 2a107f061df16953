"""Validation of responses to generated endpoints.

Generated code trusts the server: a response that differs from the contract ends in a KeyError or the like.
"""

from __future__ import annotations

import functools
import json
import re
from importlib import resources
from typing import Any

import claude_code_api
import httpx
from claude_code_api import models

from .._wire.responses import PARSE_ERRORS, describe_parse_error, unexpected_response


def check(response: httpx.Response) -> None:
    """Raise UnexpectedResponseError for a successful response that generated code cannot read."""
    model = _model_of(response.request.method, response.request.url.raw_path.partition(b"?")[0].decode())
    if model is None:
        return
    try:
        model.from_dict(response.json())
    except PARSE_ERRORS as error:
        problem = describe_parse_error(error)
    else:
        return
    raise unexpected_response(response, problem)


async def check_async(response: httpx.Response) -> None:
    """Check a response for an asynchronous client."""
    check(response)


def _model_of(method: str, path: str) -> Any:
    """Return the generated class of an operation's response; None for other responses than JSON, and other paths."""
    for (its_method, pattern), model in _models_by_operation().items():
        if its_method == method.lower() and pattern.search(path):
            return model
    return None


@functools.cache
def _models_by_operation() -> dict[tuple[str, re.Pattern[str]], Any]:
    document = json.loads(resources.files(claude_code_api).joinpath("openapi.json").read_bytes())
    return {
        (method, re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(path)) + "$")): model
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict) and (model := _response_model(operation)) is not None
    }


def _response_model(operation: dict[str, Any]) -> Any:
    for status, response in operation.get("responses", {}).items():
        content = response.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None:
            return getattr(models, content["schema"].get("$ref", "").rpartition("/")[2], None)
    return None
