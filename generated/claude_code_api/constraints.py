# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Types and constraints of request body fields, for checks before a request is sent.

Each field of a class in a request body has an entry of these keys:

- `required` (bool): always present;
- `type`: the JSON type, `string`, `number`, `integer`, `boolean`, `array` or `object`, or a list of types if the
  contract allows more than one. Absent if the contract allows any. `null` is left out: an optional field may be omitted
  instead;
- `class`: the name of the generated class in `models` for its values, if they are objects or enumerations;
- `items`: the same keys, without `required`, for the items of an array;
- the JSON Schema keywords that apply: `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `minLength`,
  `maxLength`, `minItems`, `maxItems`, `pattern`, `enum`.
"""

from collections.abc import Mapping
from typing import Any, Final

CONSTRAINTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "CreateCompletionRequest": {
        "messages": {"required": True, "type": "array", "minItems": 1, "items": {"type": "object", "class": "Message"}},
        "model": {"required": False, "type": "string", "minLength": 1},
        "max_tokens": {"required": False, "type": "integer", "minimum": 1},
        "temperature": {"required": False, "type": "number", "minimum": 0, "maximum": 2},
        "top_p": {"required": False, "type": "number", "minimum": 0, "maximum": 1},
        "stop": {"required": False, "type": "array", "items": {"type": "string", "minLength": 1}},
    },
    "CreateTaskRequest": {
        "description": {"required": True, "type": "string", "minLength": 1, "pattern": "\\S"},
        "allow_tools": {"required": False, "type": "array", "items": {"type": "string", "minLength": 1}},
        "allow_agents": {"required": False, "type": "array", "items": {"type": "string", "minLength": 1}},
        "allow_skills": {"required": False, "type": "array", "items": {"type": "string", "minLength": 1}},
        "timeout": {"required": False, "type": "number", "exclusiveMinimum": 0},
        "max_cost": {"required": False, "type": "number", "exclusiveMinimum": 0},
        "context": {"required": False, "type": "object", "class": "CreateTaskRequestTaskContext"},
        "model": {"required": False, "type": "string", "minLength": 1},
        "working_directory": {"required": False, "type": "string", "minLength": 1},
    },
    "Message": {
        "role": {"required": True, "type": "string", "enum": ["system", "user", "assistant"], "class": "Role"},
        "content": {"required": True, "type": "string"},
    },
}
"""Class name → attribute → key → value."""
