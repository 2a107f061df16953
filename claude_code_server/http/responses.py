"""JSON responses: generated models and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from claude_code_api.models import Error
from starlette.responses import Response

from ..domain.errors import ApiError
from ..domain.json_values import encode_json
from .serializers import serialize_error

_MEDIA_TYPE = "application/json"


class GeneratedModel(Protocol):
    """A model class of the generated package."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        ...


def encode_large(model: GeneratedModel) -> bytes:
    """Encode a model whose lists are long, item by item: encoding all at once would block every other thread."""
    parts: list[bytes] = []
    for name, value in model.to_dict().items():
        items = b"[" + b",".join(map(encode_json, value)) + b"]" if isinstance(value, list) else encode_json(value)
        parts.append(encode_json(name) + b":" + items)
    return b"{" + b",".join(parts) + b"}"


def json_response(
    body: GeneratedModel | bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a generated model, or with encoded JSON, as its body."""
    content = body if isinstance(body, bytes) else encode_json(body.to_dict())
    return Response(content, status, headers, media_type=_MEDIA_TYPE)


def error_response(error: ApiError, request_id: str) -> Response:
    """Return the response for an error."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return json_response(Error(error=serialize_error(error), request_id=request_id), error.status, headers)
