"""The contract as the server reads it: operations by id, with their paths, parameters and request schemas."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Self
from urllib.parse import quote, urlsplit

from .validation import Checker

Schema = Mapping[str, Any]
_METHODS = ("get", "put", "post", "delete", "patch")
_PYTHON_NAME = "x-python-name"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A path, query or header parameter."""

    name: str
    python_name: str
    location: str
    required: bool
    types: tuple[str, ...]
    checker: Checker


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. ``path`` is below the server URL's path."""

    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    needs_key: bool
    body: Checker | None
    body_required: bool
    _body_names: Mapping[str, str]

    def field(self, attribute: str) -> str:
        """What the body's field ``attribute`` of the generated class is called on the wire."""
        return self._body_names.get(attribute, attribute)

    def parameter(self, python_name: str) -> str:
        """What the parameter is called on the wire. Raises KeyError."""
        return self._parameters_by_python_name()[python_name].name

    def url(self, **values: str) -> str:
        """The path with its parameters, given by their Python names, filled in."""
        named = self._parameters_by_python_name()
        return self.path.format(**{named[name].name: quote(value, safe="") for name, value in values.items()})

    def _parameters_by_python_name(self) -> dict[str, Parameter]:
        return {parameter.python_name: parameter for parameter in self.parameters}


class Contract:
    """An OpenAPI 3.1 document, as far as serving it goes."""

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
        """The contract that the generated package was made from."""
        return cls(json.loads((files("claude_code_api") / "openapi.json").read_bytes()))

    def url(self, operation_id: str, **values: str) -> str:
        """The path of an operation on the server, its path parameters given by their Python names."""
        return self.base_path + self.operations[operation_id].url(**values)

    def _operation(self, path: str, method: str, item: Mapping[str, Any]) -> Operation:
        data = item[method]
        body = self._inlined(data.get("requestBody", {}))
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        return Operation(
            id=data["operationId"],
            method=method.upper(),
            path=path,
            parameters=tuple(
                _parameter(self._inlined(parameter))
                for parameter in (*item.get("parameters", ()), *data.get("parameters", ()))
            ),
            needs_key=bool(data.get("security", self._document.get("security"))),
            body=None if schema is None else Checker(schema, self._document),
            body_required=bool(body.get("required")),
            _body_names={
                python_name(name, value): name for name, value in (schema or {}).get("properties", {}).items()
            },
        )

    def _inlined(self, node: Any, seen: tuple[str, ...] = ()) -> Any:
        """``node`` with its references replaced by what they refer to: a lookup a message is what takes time."""
        if isinstance(node, list):
            return [self._inlined(child, seen) for child in node]
        if not isinstance(node, dict):
            return node
        reference = node.get("$ref")
        if not isinstance(reference, str):
            # The type first: what is said of a value is the first thing that is wrong with it.
            return {key: self._inlined(node[key], seen) for key in sorted(node, key=lambda key: key != "type")}
        if reference in seen:
            return {"$ref": Checker.absolute(reference)}
        beside = {key: child for key, child in node.items() if key != "$ref"}
        return self._inlined({**self._at(reference), **beside}, (*seen, reference))

    def _at(self, reference: str) -> Mapping[str, Any]:
        node: Any = self._document
        for key in reference.removeprefix("#/").split("/"):
            node = node[key.replace("~1", "/").replace("~0", "~")]
        found: Mapping[str, Any] = node
        return found


def python_name(name: str, schema: Schema) -> str:
    """What the generated code calls a field or parameter, less the underscore that keeps it off Python's own names."""
    given = schema.get(_PYTHON_NAME)
    return str(given).rstrip("_") if given else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()


def _parameter(data: Mapping[str, Any]) -> Parameter:
    schema = data.get("schema", {})
    types = schema.get("type", ())
    return Parameter(
        name=data["name"],
        python_name=python_name(data["name"], schema),
        location=data["in"],
        required=bool(data.get("required")),
        types=(types,) if isinstance(types, str) else tuple(types),
        checker=Checker(schema, {}),
    )
