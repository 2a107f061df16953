"""JSON responses: generated models and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

from claude_code_api.models import Error
from starlette.responses import Response

from ..domain.errors import ApiError
from .serializers import serialize_error

_MEDIA_TYPE = "application/json"


class GeneratedModel(Protocol):
    """A model class of the generated package."""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        ...


def encode_json(value: Any) -> bytes:
    """Encode JSON in UTF-8. Lone surrogates become question marks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(errors="replace")


def json_response(model: GeneratedModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a generated model as its body."""
    return Response(encode_json(model.to_dict()), status, headers, media_type=_MEDIA_TYPE)


def error_response(error: ApiError, request_id: str) -> Response:
    """Return the response for an error."""
    headers = dict(error.headers)
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    return json_response(Error(error=serialize_error(error), request_id=request_id), error.status, headers)
