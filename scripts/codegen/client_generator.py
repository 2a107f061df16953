"""Run of openapi-python-client inside this process, with warnings treated as errors."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from attrs import frozen
from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError, ParseError
from openapi_python_client.parser.properties import Class, EnumProperty, ModelProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.none import NoneProperty
from openapi_python_client.parser.properties.protocol import PropertyProtocol
from openapi_python_client.parser.properties.union import UnionProperty

from . import python_names
from .contract import Contract
from .errors import GenerationError

_MAX_DATA_LINES = 20
_SOFT_BREAK = re.compile(r"(?<=\S)\n(?=[^\s*+#>|\d-])(?!```)")
"""A line break inside a Markdown paragraph."""


@frozen
class GeneratedClient:
    """Python names that openapi-python-client chose for the components and parameters of the contract.

    Attributes:
        classes: Component name → class.
        attributes: Class name → name on the wire → attribute. Enumerations have no entry.
        parameters: Operation name → (location, name on the wire) → parameter.
    """

    classes: Mapping[str, Class]
    attributes: Mapping[str, Mapping[str, PropertyProtocol]]
    parameters: Mapping[str, Mapping[tuple[str, str], PropertyProtocol]]


def write_client(contract: Contract, target: Path, settings: Path, templates: Path) -> GeneratedClient:
    """Write the generator's package to `target`, which must not exist yet.

    Raises:
        GenerationError: The generator reported an error or a warning; the message holds all of them.
    """
    python_names.check_placement(contract)
    options = ConfigFile.load_from_path(path=settings)
    config = Config.from_sources(options, MetaType.NONE, settings, "utf-8", overwrite=False, output_path=target)
    with python_names.honoured():
        data = GeneratorData.from_dict(_unwrapped(contract.document), config=config)
    if isinstance(data, GeneratorError):
        raise GenerationError(_message([data]))
    with redirect_stdout(io.StringIO()):
        problems = Project(openapi=data, config=config, custom_template_path=templates).build()
    if problems:
        raise GenerationError(_message(problems))
    return GeneratedClient(
        classes={name: Class.from_string(string=name, config=config) for name in contract.schemas},
        attributes={
            model.class_info.name: {
                prop.name.get_untrusted_value(): prop
                for prop in (*(model.required_properties or ()), *(model.optional_properties or ()))
            }
            for model in data.models
        },
        parameters={
            str(endpoint.name): {
                (location.value, prop.name.get_untrusted_value()): prop
                for location, prop in endpoint.iter_all_parameters()
            }
            for collection in data.endpoint_collections_by_tag.values()
            for endpoint in collection.endpoints
        },
    )


def non_null(prop: PropertyProtocol) -> PropertyProtocol | None:
    """Return the only member of a union other than null, `prop` itself if it is no union, else None."""
    if not isinstance(prop, UnionProperty):
        return prop
    members = [member for member in prop.inner_properties if not isinstance(member, NoneProperty)]
    return members[0] if len(members) == 1 else None


def item_property(prop: PropertyProtocol | None) -> PropertyProtocol | None:
    """Return the property of an array's items, or None if `prop` is no array."""
    return non_null(prop.inner_property) if isinstance(prop, ListProperty) else None


def class_name(prop: PropertyProtocol | None) -> str | None:
    """Return the name of the generated class for a property's values, or None if they are plain values."""
    return str(prop.class_info.name) if isinstance(prop, ModelProperty | EnumProperty) else None


def _unwrapped(node: Any) -> Any:
    """Return a copy of `node` with each paragraph of its descriptions on one line: the generator wraps lines itself."""
    if isinstance(node, list):
        return [_unwrapped(child) for child in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _SOFT_BREAK.sub(" ", child) if key == "description" and isinstance(child, str) else _unwrapped(child)
        for key, child in node.items()
    }


def _message(problems: Sequence[GeneratorError]) -> str:
    lines: list[str] = []
    for problem in problems:
        lines += [problem.header.strip(), *(problem.detail or "").strip().splitlines()]
        if isinstance(problem, ParseError) and problem.data is not None:
            data = problem.data.model_dump_json(indent=2, exclude_unset=True, by_alias=True)
            lines += data.splitlines()[:_MAX_DATA_LINES]
    return "\n    ".join(lines)
