"""Source of defaults.py: values that the server assumes for omitted request fields and parameters.

The contract gives them as `x-default` in the schema of a parameter or of a property of a request body component. The
standard keyword `default` would make openapi-python-client send the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openapi_python_client.strings import PythonIdentifier, safe_for_docstring, snake_case

from .client_generator import GeneratedClient
from .contract import Contract, Schema
from .errors import GenerationError

KEYWORD = "x-default"
_STATED = re.compile(r"Defaults to `([^`]+)`")
_TEMPLATE = '''"""Values that the server assumes for omitted request fields and parameters."""

from collections.abc import Mapping
from typing import Any, Final

{constants}

DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {fields}
"""Request body class → attribute → default."""

PARAMETER_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {parameters}
"""Operation → parameter → default."""
'''


@frozen
class _Field:
    """A property of the request body component `owner`, or a parameter of the operation `owner` in `location`."""

    owner: str
    location: str | None
    name: str
    schema: Schema
    description: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


def defaults_module(contract: Contract, client: GeneratedClient) -> str:
    """Return the source of defaults.py. Raises GenerationError for an `x-default` that is misplaced or invalid."""
    _check_placement(contract)
    constants: dict[str, str] = {}
    attributes: dict[str, dict[str, str]] = {}
    parameters: dict[str, dict[str, str]] = {}
    for field in _fields(contract):
        if KEYWORD not in field.schema:
            continue
        owner, name = _python_names(field, client)
        constant = f"{snake_case(owner)}_{name.rstrip('_')}".upper()
        if constant in constants:
            raise GenerationError(f"{KEYWORD} of {field}: another default has the name {constant} too")
        constants[constant] = f'{constant}: Final = {_default(contract, field)!r}\n"""{_docstring(field)}"""'
        table = attributes if field.location is None else parameters
        table.setdefault(owner, {})[name] = constant
    return _TEMPLATE.format(
        constants="\n\n".join(constants.values()), fields=_literal(attributes), parameters=_literal(parameters)
    )


def undocumented_defaults(contract: Contract) -> Iterator[str]:
    """Yield a message for each field whose description and `x-default` do not state the same default."""
    for field in _fields(contract):
        stated = _STATED.search(field.description)
        if KEYWORD not in field.schema:
            if stated:
                yield f"{field}: the description states a default, but the schema has no {KEYWORD}"
            continue
        default = field.schema[KEYWORD]
        wording = f"Defaults to `{default if isinstance(default, str) else json.dumps(default)}`."
        if stated is None or _parse(stated[1]) != default:
            yield f"{field}: the description must say: {wording}"


def _check_placement(contract: Contract) -> None:
    components = set(contract.request_components())
    for path, node in contract.nodes():
        if KEYWORD in node and not _is_parameter(path) and not _is_property(path, components):
            raise GenerationError(
                f"{KEYWORD} has no effect at #/{'/'.join(path)}; "
                "it belongs in the schema of a parameter or of a property of a request body component"
            )


def _is_parameter(path: tuple[str, ...]) -> bool:
    return path[-3:-2] == ("parameters",) and path[-1] == "schema"


def _is_property(path: tuple[str, ...], components: set[str]) -> bool:
    """Return whether the path is `components/schemas/<component>/properties/<name>`, or the same below `allOf`."""
    match path:
        case ("components", "schemas", component, *parts, "properties", _):
            return component in components and all(key == "allOf" or key.isdigit() for key in parts)
    return False


def _fields(contract: Contract) -> Iterator[_Field]:
    for component in contract.request_components():
        for name, schema in contract.properties(contract.schemas[component]).items():
            schema = contract.follow(schema)
            yield _Field(component, None, name, schema, schema.get("description", ""))
    for operation in contract.operations():
        for parameter in map(contract.follow, operation["parameters"]):
            schema = contract.follow(parameter.get("schema", {}))
            description = parameter.get("description", "")
            yield _Field(operation["operationId"], parameter["in"], parameter["name"], schema, description)


def _python_names(field: _Field, client: GeneratedClient) -> tuple[str, str]:
    if field.location is None:
        owner = str(client.classes[field.owner].name)
        return owner, str(client.attributes[owner][field.name].python_name)
    owner = str(PythonIdentifier(field.owner, prefix=""))
    return owner, str(client.parameters[owner][field.location, field.name].python_name)


def _default(contract: Contract, field: _Field) -> Any:
    """Return the default as a constant: a float for a number, a tuple for an array."""
    value = field.schema[KEYWORD]
    schema = {**field.schema, "components": contract.document.get("components", {})}
    for error in Draft202012Validator(schema).iter_errors(value):
        raise GenerationError(f"{KEYWORD} of {field} does not match its schema: {error.message}")
    if isinstance(value, list):
        return tuple(value)
    types = field.schema.get("type", ())
    is_number = "number" in types and not isinstance(value, bool) and isinstance(value, int)
    return float(value) if is_number else value


def _docstring(field: _Field) -> str:
    return safe_for_docstring(" ".join(field.description.split()) or f"Default of `{field}`.")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _literal(table: Mapping[str, Mapping[str, str]]) -> str:
    rows = ("".join(f"{name!r}: {constant}, " for name, constant in row.items()) for row in table.values())
    return "{" + "".join(f"{owner!r}: {{{row}}}, " for owner, row in zip(table, rows, strict=True)) + "}"
