"""Sections of the API reference about values: models, events, exceptions and generated endpoints."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import claude_code_api
from claude_code_api import events

import claude_code_client
from claude_code_client import errors, models
from claude_code_client._client.endpoints import SyncEndpoints
from claude_code_client._wire.error_bodies import error_class
from claude_code_common.error_types import ERROR_TYPE_BY_STATUS

from . import markdown
from .classes import fields_table, members, method, methods, properties
from .docstrings import parse
from .source import Attribute, class_attributes, module_attributes


def models_section() -> Iterator[str]:
    """Yield the parts of the section on models."""
    path = Path(inspect.getfile(models))
    fields = class_attributes(path)
    classes = [value for name in fields if inspect.isclass(value := getattr(models, name)) and name in models.__all__]
    common = next(base for base in classes[0].__mro__ if base.__name__.startswith("_"))
    yield from ("## Models", markdown.docstring(parse(models), ""))
    yield "Models are imported from `claude_code_client.models`. All of them have:"
    yield fields_table(fields[common.__name__])
    yield from methods(common, "Model", level=3)
    for cls in classes:
        name = cls.__name__
        yield from (f"### `{name}`", markdown.docstring(parse(cls), name))
        yield fields_table([*fields[name], *properties(cls)], name)
        yield from methods(cls, name, level=4)
    for name, constant in module_attributes(path).items():
        if name in models.__all__:
            yield from (f"### `{name}`", markdown.inline(constant.doc))


def observation_section() -> Iterator[str]:
    """Yield the parts of the section on what hooks are given, and on usage and rate limits."""
    yield "## Values of hooks, usage and rate limits"
    yield from _values("RequestInfo", "ResponseInfo", "EventInfo", "UsageTotals", "RateLimit")


def _values(*names: str) -> Iterator[str]:
    for name in names:
        cls = getattr(claude_code_client, name)
        fields = class_attributes(Path(inspect.getfile(cls)))[name]
        yield from (f"### `{name}`", markdown.docstring(parse(cls), name))
        yield fields_table([*fields, *properties(cls)], name)
        yield from methods(cls, name, level=4)


def batches_section() -> Iterator[str]:
    """Yield the parts of the section on the values of batches: results, progress and items."""
    yield "## Batch values"
    yield from _values("BatchResult", "BatchProgress")
    rows = [
        (
            f"`{name}`",
            markdown.cell(parse(cls := getattr(claude_code_client, name)).text),
            markdown.code(sorted(_keys(cls))),
        )
        for name in ("CompletionItem", "TaskItem")
    ]
    yield from (
        "### Items",
        "Typed dicts; every key may be left out.",
        markdown.table(("Class", "Meaning", "Keys"), rows),
    )


def _keys(cls: type) -> frozenset[str]:
    """Return the keys of a TypedDict, those of its bases included."""
    keys: frozenset[str] = getattr(cls, "__optional_keys__", frozenset())
    return keys


def events_section() -> Iterator[str]:
    """Yield the parts of the section on events."""
    fields = class_attributes(Path(inspect.getfile(events)))
    yield from ("## Events", markdown.docstring(parse(events), ""))
    yield (
        "All of these types are in `claude_code_api.events`. `TaskEvent`, `CompletionEvent` and the classes of task "
        "events are in `claude_code_client.models` too."
    )
    for alias in ("TaskEvent", "CompletionEvent"):
        rows = [
            (f"`{_type(fields[cls.__name__])}`", f"`{cls.__name__}`", *_typed_dict(cls, fields))
            for cls in getattr(events, alias).__args__
        ]
        yield from (f"### `{alias}`", markdown.table(("`type`", "Class", "Meaning", "Other fields"), rows))
    values = [getattr(events, name) for name in fields if name.endswith("Dict")]
    yield "### Values of fields"
    yield markdown.table(
        ("Class", "Meaning", "Fields"), [(f"`{cls.__name__}`", *_typed_dict(cls, fields)) for cls in values]
    )


def _typed_dict(cls: type, fields: Mapping[str, list[Attribute]]) -> tuple[str, str]:
    """Return the description of a TypedDict, and its fields except an event's own ``type``."""
    shown = [field for field in fields[cls.__name__] if not field.type.startswith("Literal")]
    return markdown.cell(cls.__doc__), markdown.code(f"{field.name}: {field.type}" for field in shown)


def _type(fields: list[Attribute]) -> str:
    """Return the value of an event's ``type`` field, from its annotation."""
    annotation = next(field.type for field in fields if field.name == "type")
    return annotation.removeprefix("Literal[").removesuffix("]").strip("'\"")


def errors_section() -> Iterator[str]:
    """Yield the parts of the section on exceptions."""
    base = errors.ClaudeAPIError
    yield from ("## Errors", markdown.docstring(parse(errors), ""))
    yield from ("### `ClaudeAPIError`", markdown.docstring(parse(base), "ClaudeAPIError"))
    yield "### Exceptions"
    yield "Exceptions with neither a status nor an `error.type` are raised without an error response."
    rows = []
    for name in [name for name in vars(errors) if name in errors.__all__ and name != base.__name__]:
        cls = getattr(errors, name)
        types = [value for value in dict.fromkeys(ERROR_TYPE_BY_STATUS.values()) if error_class(None, value) is cls]
        text = markdown.cell(parse(cls).text)
        rows.append((f"`{name}`", _statuses(cls), markdown.code(types), markdown.code(_bases(cls)), text))
    yield markdown.table(("Exception", "HTTP status", "`error.type`", "Also a", "Meaning"), rows)


def _statuses(cls: type) -> str:
    statuses = [str(status) for status in sorted(ERROR_TYPE_BY_STATUS) if error_class(status, None) is cls]
    statuses += [f"other {status // 100}xx" for status in (499, 599) if error_class(status, None) is cls]
    return ", ".join(statuses)


def _bases(cls: type) -> Iterator[str]:
    """Yield the names of the built-in exceptions that a class extends."""
    for base in cls.__bases__:
        if base.__module__ == "builtins":
            yield f"builtins.{base.__name__}" if base.__name__ == cls.__name__ else base.__name__


def endpoints_section() -> Iterator[str]:
    """Yield the parts of the section on generated endpoints."""
    api = next(prop for prop in properties(claude_code_client.ClaudeClient) if prop.name == "api")
    yield from ("## Generated endpoints", markdown.inline(api.doc))
    yield markdown.docstring(parse(SyncEndpoints), "")
    named = {name: member for base in reversed(SyncEndpoints.__mro__) for name, member in members(base)}
    for name, member in sorted(named.items()):
        if name.startswith("with_"):
            yield from method("client.api", name, member, level=3)
    yield "### Endpoints"
    yield "Each is a module with the functions `sync`, `sync_detailed`, `asyncio` and `asyncio_detailed`."
    contract = json.loads(Path(inspect.getfile(claude_code_api)).with_name("openapi.json").read_bytes())
    rows = [
        (f"`claude_code_api.api.{operation['tags'][0]}.{operation['operationId']}`", f"`{method.upper()} {path}`", text)
        for path, methods_of_path in contract["paths"].items()
        for method, operation in methods_of_path.items()
        if re.fullmatch("get|put|post|delete|patch", method) and (text := operation.get("summary", ""))
    ]
    yield markdown.table(("Module", "Request", "Summary"), sorted(rows))
