# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited.

"""What the contract demands of request values beyond their types, to check before sending."""

from collections.abc import Mapping
from typing import Any, Final

CONSTRAINTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "CreateCompletionRequest": {
        "messages": {"minItems": 1},
        "model": {"minLength": 1},
        "max_tokens": {"minimum": 1},
        "temperature": {"minimum": 0, "maximum": 2},
        "top_p": {"minimum": 0, "maximum": 1},
    },
    "CreateTaskRequest": {
        "description": {"minLength": 1, "pattern": "\\S"},
        "timeout": {"exclusiveMinimum": 0},
        "max_cost": {"exclusiveMinimum": 0},
        "model": {"minLength": 1},
        "working_directory": {"minLength": 1},
    },
}
"""Class name → attribute → JSON Schema keyword → value; only attributes with at least one keyword."""
