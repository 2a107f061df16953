"""Generated models as responses."""

from collections.abc import Mapping
from typing import Any, Protocol

from starlette.responses import Response

from claude_code_server.wire import json_bytes


class Model(Protocol):
    def to_dict(self) -> dict[str, Any]: ...


def answer(model: Model, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json_bytes(model.to_dict()), status, headers, media_type="application/json")
