"""`x-python-name`: a field or parameter that is renamed on the wire keeps its name in Python.

Its place is the schema of a property (beside a `$ref` too) or of a parameter.
"""

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

from .errors import GenerationError

KEY = "x-python-name"


class _GivenName(PythonIdentifier):
    """A Python name that the contract gave, and that the generator must not change again."""


def check_places(node: Any, path: tuple[str, ...] = ()) -> None:
    """Raises GenerationError for an `x-python-name` in a place where it would have no effect."""
    if isinstance(node, dict):
        if KEY in node and not _is_place(path):
            raise GenerationError(
                f"{KEY} has no effect at #/{'/'.join(path)}; its place is the schema of a property or of a parameter"
            )
        for key, child in node.items():
            check_places(child, (*path, str(key)))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            check_places(child, (*path, str(index)))


def _is_place(path: tuple[str, ...]) -> bool:
    return path[-2:-1] == ("properties",) or (path[-3:-2] == ("parameters",) and path[-1] == "schema")


@contextmanager
def given_names() -> Iterator[None]:
    """Within it, the generator's parser honours `x-python-name`."""
    build, rename = properties.property_from_data, PropertyProtocol.set_python_name

    def build_and_name(
        name: UntrustedString, required: bool, data: oai.Reference | oai.Schema, *args: Any, **kwargs: Any
    ) -> Any:
        prop, schemas = build(name, required, data, *args, **kwargs)
        given = (data.model_extra or {}).get(KEY)
        if given is not None and not isinstance(prop, PropertyError):
            object.__setattr__(prop, "python_name", _checked(given, name, kwargs["config"]))
        return prop, schemas

    def rename_unless_given(prop: PropertyProtocol, *args: Any, **kwargs: Any) -> None:
        if isinstance(prop.python_name, _GivenName):
            raise GenerationError(f"{KEY}: {prop.python_name} is the name of something else there too")
        rename(prop, *args, **kwargs)

    with ExitStack() as stack:
        for module in (properties, openapi):
            stack.enter_context(patch.object(module, "property_from_data", build_and_name))
        stack.enter_context(patch.object(PropertyProtocol, "set_python_name", rename_unless_given))
        yield


def _checked(given: Any, name: UntrustedString, config: Config) -> _GivenName:
    if not isinstance(given, str):
        raise GenerationError(f"{KEY} of {name.get_untrusted_value()} must be a string")
    usable = PythonIdentifier(given, prefix=config.field_prefix)
    if usable != given:
        raise GenerationError(f"{KEY}: {given} cannot be a name in the generated code; {usable} can")
    return str.__new__(_GivenName, given)
