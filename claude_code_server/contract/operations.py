"""The OpenAPI contract as the server needs it: operations with their paths, parameters and request schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

import attrs

from .unknown_fields import unknown_fields
from .validation import SchemaValidator

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_PYTHON_NAME: Final = "x-python-name"


@attrs.frozen
class Parameter:
    """A path, query or header parameter."""

    name: str
    python_name: str
    location: str
    """``path``, ``query`` or ``header``."""
    required: bool
    types: tuple[str, ...]
    """JSON schema types."""
    validator: SchemaValidator
    asgi_name: bytes = attrs.field(init=False, default=attrs.Factory(lambda self: _asgi(self.name), takes_self=True))
    """Name of a header in ASGI scopes."""


@attrs.frozen
class Operation:
    """An operation of the contract."""

    id: str
    method: str
    path: str
    """Path template, relative to the base path."""
    parameters: tuple[Parameter, ...]
    needs_key: bool
    body: SchemaValidator | None
    """Validator of the request body; None for an operation without one."""
    body_required: bool
    body_names: Mapping[str, str]
    """JSON names of the body's fields by Python name."""
    body_schema: Mapping[str, Any]
    """Schema of the body, with references replaced by their targets."""

    def wire_name(self, attribute: str) -> str:
        """Return the JSON name of the body field that the generated class calls ``attribute``."""
        return self.body_names.get(attribute, attribute)

    def unknown_fields(self, body: Any) -> list[str]:
        """Return the paths of the first ten fields of ``body`` that the contract does not have."""
        return unknown_fields(self.body_schema, body)

    def parameter_name(self, python_name: str) -> str:
        """Return the name of a parameter in requests. Raise KeyError."""
        return self._parameters_by_python_name()[python_name].name

    def url(self, **values: str) -> str:
        """Return the path with its parameters filled in. ``values`` are keyed by Python name."""
        named = self._parameters_by_python_name()
        return self.path.format(**{named[name].name: quote(value, safe="") for name, value in values.items()})

    def _parameters_by_python_name(self) -> dict[str, Parameter]:
        return {parameter.python_name: parameter for parameter in self.parameters}


class Contract:
    """An OpenAPI 3.1 document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.version: str = document["info"]["version"]
        self.base_path: str = urlsplit(str(document["servers"][0]["url"])).path.rstrip("/")
        self.operations: Mapping[str, Operation] = {
            operation.id: operation
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
            for operation in [self._operation(path, method, item)]
        }

    @classmethod
    @cache
    def bundled(cls) -> Self:
        """Return the contract that the generated package was made from."""
        return cls(json.loads((files("claude_code_api") / "openapi.json").read_bytes()))

    def url(self, operation_id: str, **values: str) -> str:
        """Return the absolute path of an operation. ``values`` are its path parameters by Python name."""
        return self.base_path + self.operations[operation_id].url(**values)

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        data = item[method]
        body = self._inline(data.get("requestBody", {}))
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        return Operation(
            id=data["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(
                _parameter(self._inline(parameter))
                for parameter in (*item.get("parameters", ()), *data.get("parameters", ()))
            ),
            needs_key=bool(data.get("security", self._document.get("security"))),
            body=None if schema is None else SchemaValidator(schema, self._document),
            body_required=bool(body.get("required")),
            body_names={python_name(name, value): name for name, value in (schema or {}).get("properties", {}).items()},
            body_schema=schema or {},
        )

    def _inline(self, node: Any, within: tuple[str, ...] = ()) -> Any:
        """Replace references by their targets, recursive ones excepted: resolving them per value would be slow."""
        if isinstance(node, list):
            return [self._inline(child, within) for child in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if not isinstance(reference, str):
            # The type comes first: of several violations the first one is reported.
            return {key: self._inline(node[key], within) for key in sorted(node, key=lambda key: key != "type")}
        if reference in within:
            return {"$ref": SchemaValidator.absolute_reference(reference)}
        siblings = {key: child for key, child in node.items() if key != "$ref"}
        return self._inline({**self._resolve(reference), **siblings}, (*within, reference))

    def _resolve(self, reference: str) -> Mapping[str, Any]:
        node: Any = self._document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key.replace("~1", "/").replace("~0", "~")]
        target: Mapping[str, Any] = node
        return target


def python_name(name: str, schema: Mapping[str, Any]) -> str:
    """Return the generated code's name for a field or parameter, without an underscore that avoids a Python name."""
    given = schema.get(_PYTHON_NAME)
    return str(given).rstrip("_") if given else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()


def _asgi(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _parameter(data: Mapping[str, Any]) -> Parameter:
    schema = data.get("schema", {})
    types = schema.get("type", ())
    return Parameter(
        name=data["name"],
        python_name=python_name(data["name"], schema),
        location=data["in"],
        required=bool(data.get("required")),
        types=(types,) if isinstance(types, str) else tuple(types),
        validator=SchemaValidator(schema, {}),
    )
