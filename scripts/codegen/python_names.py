"""`x-python-name`: the Python name of a field or parameter, kept when its name on the wire changes.

The keyword belongs in the schema of a property or of a parameter, where it may stand beside a `$ref`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from openapi_python_client import schema as oai
from openapi_python_client.config import Config
from openapi_python_client.parser import openapi, properties
from openapi_python_client.parser.errors import PropertyError
from openapi_python_client.parser.properties.protocol import PropertyProtocol
from openapi_python_client.schema.untrusted_string import UntrustedString
from openapi_python_client.strings import PythonIdentifier

from .contract import Contract
from .errors import GenerationError

KEYWORD = "x-python-name"


class _FixedName(PythonIdentifier):
    """A Python name set by the contract, which the generator must not change."""


def check_placement(contract: Contract) -> None:
    """Raise GenerationError for an `x-python-name` where it would have no effect."""
    for path, node in contract.nodes():
        if KEYWORD in node and not _is_valid_place(path):
            raise GenerationError(
                f"{KEYWORD} has no effect at #/{'/'.join(path)}; "
                "it belongs in the schema of a property or of a parameter"
            )


def _is_valid_place(path: tuple[str, ...]) -> bool:
    return path[-2:-1] == ("properties",) or (path[-3:-2] == ("parameters",) and path[-1] == "schema")


@contextmanager
def honoured() -> Iterator[None]:
    """Make the generator's parser honour `x-python-name` within the context."""
    build, rename = properties.property_from_data, PropertyProtocol.set_python_name

    def build_and_name(
        name: UntrustedString, required: bool, data: oai.Reference | oai.Schema, *args: Any, **kwargs: Any
    ) -> Any:
        prop, schemas = build(name, required, data, *args, **kwargs)
        given = (data.model_extra or {}).get(KEYWORD)
        if given is not None and not isinstance(prop, PropertyError):
            object.__setattr__(prop, "python_name", _checked(given, name, kwargs["config"]))
        return prop, schemas

    def rename_unless_fixed(prop: PropertyProtocol, *args: Any, **kwargs: Any) -> None:
        if isinstance(prop.python_name, _FixedName):
            raise GenerationError(f"{KEYWORD}: {prop.python_name} is also the name of another field or parameter there")
        rename(prop, *args, **kwargs)

    with ExitStack() as stack:
        for module in (properties, openapi):
            stack.enter_context(patch.object(module, "property_from_data", build_and_name))
        stack.enter_context(patch.object(PropertyProtocol, "set_python_name", rename_unless_fixed))
        yield


def _checked(given: Any, name: UntrustedString, config: Config) -> _FixedName:
    if not isinstance(given, str):
        raise GenerationError(f"{KEYWORD} of {name.get_untrusted_value()} must be a string")
    usable = PythonIdentifier(given, prefix=config.field_prefix)
    if usable != given:
        raise GenerationError(f"{KEYWORD}: {given} is no valid name in the generated code; {usable} is")
    return str.__new__(_FixedName, given)
