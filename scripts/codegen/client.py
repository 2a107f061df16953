"""Running openapi-python-client in this process, as with `--fail-on-warning`."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError, ParseError

from . import names
from .contract import Contract
from .errors import GenerationError

_DATA_LINES = 20
PythonNames = Mapping[str, Mapping[str, str]]


def write_client(contract: Contract, target: Path, settings: Path, templates: Path) -> PythonNames:
    """Writes the generator's package to `target`, which must not exist yet.

    Returns the Python names of the fields: class name → name on the wire → name in Python.
    Raises GenerationError with all that the generator had to say, warnings too.
    """
    names.check_places(contract.document)
    options = ConfigFile.load_from_path(path=settings)
    config = Config.from_sources(options, MetaType.NONE, settings, "utf-8", overwrite=False, output_path=target)
    with names.given_names():
        data = GeneratorData.from_dict(contract.document, config=config)
    if isinstance(data, GeneratorError):
        raise GenerationError(_told([data]))
    with redirect_stdout(io.StringIO()):
        found = Project(openapi=data, config=config, custom_template_path=templates).build()
    if found:
        raise GenerationError(_told(found))
    return {
        model.class_info.name: {
            prop.name.get_untrusted_value(): prop.python_name
            for prop in (*(model.required_properties or ()), *(model.optional_properties or ()))
        }
        for model in data.models
    }


def _told(found: Sequence[GeneratorError]) -> str:
    lines: list[str] = []
    for error in found:
        lines += [error.header.strip(), *(error.detail or "").strip().splitlines()]
        if isinstance(error, ParseError) and error.data is not None:
            lines += error.data.model_dump_json(indent=2, exclude_unset=True, by_alias=True).splitlines()[:_DATA_LINES]
    return "\n    ".join(lines)
