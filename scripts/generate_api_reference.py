"""Write docs/api-reference.md from signatures and docstrings, or check that it is up to date."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import claude_code_api
import claude_code_client
from claude_code_api import events
from claude_code_client import errors, models
from claude_code_client._transport import SyncEndpoints
from claude_code_client._wire.error_bodies import error_class
from claude_code_common.error_types import ERROR_TYPE_BY_STATUS
from docgen.docstrings import Docstring, Item, markdown, parse, sentences
from docgen.source import Attribute, class_attributes, module_attributes

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "api-reference.md"
INTRODUCTION: Final = """\
<!-- Generated from the docstrings by `make generate`. Do not edit. -->

# API reference

Every public class, method, field and exception. The [README](../README.md) explains how they work together.

Times are in seconds and amounts of money in USD. Names in `code` are imported from `claude_code_client`, unless the
section names another module.
"""
CLASSES: Final = ("ClaudeClient", "TaskHandle", "TaskStream", "Stream", "Budget")
"""Classes with methods, in the order of the page."""
_WIDTH: Final = 100
_MECHANICAL: Final = ((r"\basync (with|for)\b", r"\1"), (r"\bAsync(?=[A-Z])", ""), (r"\bawait |\ba(?=close\b)", ""))


def page() -> str:
    """Return the whole page."""
    parts = [
        *_client(),
        *(part for name in CLASSES[1:] for part in _class(name)),
        *_models(),
        *_events(),
        *_errors(),
        *_endpoints(),
    ]
    contents = [f"- [{part[3:].strip('`')}](#{_slug(part[3:])})" for part in parts if part.startswith("## ")]
    return "\n\n".join([INTRODUCTION.rstrip(), "\n".join(contents), *parts]) + "\n"


def main() -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.relative_to(ROOT)} does not match the docstrings: run `make generate`", file=sys.stderr)
        return 1
    return 0


# Classes with methods


def _client() -> Iterator[str]:
    client = claude_code_client.ClaudeClient
    yield from ("## `ClaudeClient`", _text(parse(client), "ClaudeClient"))
    groups = [client, *(base for base in client.__mro__[1:] if any(_members(base)))]
    rows = [
        (f"[`{name}`](#{_slug(f'ClaudeClient.{name}')})", _cell(parse(member).summary, "ClaudeClient"))
        for group in groups
        for name, member in _members(group)
    ]
    yield _table(("Method or property", ""), rows)
    yield from _method("ClaudeClient", "ClaudeClient", client.__init__, level=3)
    for group in groups:
        if group is not client:
            yield from (f"### {group.__name__}", _text(parse(group), "ClaudeClient"))
        for name, member in _members(group):
            yield from _method("ClaudeClient", name, member, level=4)
    yield from _async_client()


def _class(name: str) -> Iterator[str]:
    cls = getattr(claude_code_client, name)
    yield from (f"## `{name}`", _text(parse(cls), name))
    for member_name, member in _members(cls):
        yield from _method(name, member_name, member, level=3)


def _async_client() -> Iterator[str]:
    """Describe the asynchronous classes by how they differ from the synchronous ones."""
    yield from ("## `AsyncClaudeClient`", parse(claude_code_client.AsyncClaudeClient).summary)
    yield (
        "The asynchronous classes have the methods, parameters and exceptions of the synchronous ones. Some methods "
        "are coroutine functions, to be called with `await`; streams are read with `async for`."
    )
    pairs = [(f"Async{name}", name) for name in CLASSES if hasattr(claude_code_client, f"Async{name}")]
    rows = []
    differences = []
    for async_name, sync_name in pairs:
        async_class, sync_class = (getattr(claude_code_client, name) for name in (async_name, sync_name))
        groups = [base for base in async_class.__mro__ if base.__module__.startswith("claude_code_client.")]
        members = [member for group in groups for member in _members(group)]
        coroutines = [name for name, member in members if inspect.iscoroutinefunction(_function(member))]
        others = [name for name, _ in members if name not in coroutines]
        rows.append((f"`{async_name}`", _names(coroutines), _names(others)))
        differences += _differences(f"`{async_name}`", async_class, sync_class)
        for name, member in [("__init__()", async_class.__init__), *members]:
            twin = getattr(sync_class, _synchronous(name).strip("()"))
            if inspect.getdoc(_function(member)):
                differences += _differences(f"`{async_name}.{name}`", _function(member), twin)
    yield _table(("Class", "With `await`", "Without `await`"), rows)
    yield "Their documentation differs in these points:"
    yield "\n".join(f"- {difference}" for difference in differences)


def _differences(title: str, async_object: object, sync_object: object) -> Iterator[str]:
    """Yield the sentences of a docstring that the synchronous docstring does not have."""
    documented, twin = parse(async_object), parse(sync_object)
    twin_items = {item.name: item.text for items in twin.sections.values() for item in items}
    texts = [("", documented.text, twin.text)]
    for items in documented.sections.values():
        texts += [(item.name, item.text, twin_items.get(item.name, "")) for item in items]
    for name, text, twin_text in texts:
        known = sentences(twin_text.replace("\n", " "))
        new = [sentence for sentence in sentences(text.replace("\n", " ")) if _synchronous(sentence) not in known]
        if new:
            yield f"{title}{f', `{name}`' if name else ''}: {markdown(' '.join(new), lambda _: None)}"


def _synchronous(text: str) -> str:
    for pattern, replacement in _MECHANICAL:
        text = re.sub(pattern, replacement, text)
    return text


def _members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods, as ``name()``, and properties that a class defines, in order."""
    for name, member in vars(cls).items():
        if name.startswith("_") or not cls.__module__.startswith("claude_code_client."):
            continue
        if isinstance(member, property):
            yield name, member
        elif callable(member) or isinstance(member, classmethod):
            yield f"{name}()", member


def _function(member: Any) -> Any:
    """Return the function of a method, class method or property."""
    if isinstance(member, property):
        return member.fget
    return getattr(member, "__func__", member)


def _method(owner: str, name: str, member: Any, *, level: int) -> Iterator[str]:
    documented = parse(member if isinstance(member, property) else _function(member))
    yield f"{'#' * level} `{owner}.{name}`" if name != owner else f"{'#' * level} `{owner}()`"
    yield f"```text\n{_signature(owner, name.strip('()'), member)}\n```"
    yield _text(documented, owner)


def _signature(owner: str, name: str, member: Any) -> str:
    """Return a signature as it would be written in source code, without ``self``."""
    function = _function(member)
    signature = inspect.signature(function)
    returns = signature.return_annotation
    if returns == "Self":
        returns = owner
    elif inspect.isgeneratorfunction(inspect.unwrap(function)):
        returns = returns.replace("Iterator", "AbstractContextManager")
    if isinstance(member, property):
        return f"{name}: {returns}"
    parameters = _parameters(list(signature.parameters.values())[1:])
    result = "" if name == owner else f" -> {returns}"
    line = f"{name}({', '.join(parameters)}){result}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){result}"])


def _parameters(parameters: list[inspect.Parameter]) -> list[str]:
    """Return parameters as text, with the ``*`` and ``/`` between them."""
    written: list[str] = []
    kind = None
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and kind is not parameter.kind:
            written.append("*")
        elif kind is inspect.Parameter.POSITIONAL_ONLY and parameter.kind is not kind:
            written.append("/")
        kind = parameter.kind
        star = "*" if kind is inspect.Parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
        written.append(f"{star}{parameter.name}: {parameter.annotation}{default}")
    return [*written, "/"] if kind is inspect.Parameter.POSITIONAL_ONLY else written


# Values


def _models() -> Iterator[str]:
    path = Path(inspect.getfile(models))
    fields = class_attributes(path)
    constants = module_attributes(path)
    classes = [value for name in fields if inspect.isclass(value := getattr(models, name)) and name in models.__all__]
    common = next(base for base in classes[0].__mro__ if base.__name__.startswith("_"))
    yield from ("## Models", _text(parse(models), ""))
    yield "Names are imported from `claude_code_client.models`; every model also has:"
    yield _fields(fields[common.__name__])
    for name, member in _members(common):
        yield from _method("Model", name, member, level=3)
    for cls in classes:
        yield from (f"### `{cls.__name__}`", _text(parse(cls), cls.__name__), _fields(fields[cls.__name__]))
        for name, member in _members(cls):
            if name != "to_dict()":
                yield from _method(cls.__name__, name, member, level=4)
    for name, constant in constants.items():
        if name in models.__all__:
            yield from (f"### `{name}`", _inline(constant.doc, ""))


def _events() -> Iterator[str]:
    path = Path(inspect.getfile(events))
    fields = class_attributes(path)
    yield from ("## Events", _text(parse(events), ""), "The types are imported from `claude_code_client.models`.")
    for alias in ("TaskEvent", "CompletionEvent"):
        members = [cls.__name__ for cls in getattr(events, alias).__args__]
        yield from (f"### `{alias}`", "One of:")
        rows = [(f"`{_literal(fields[name])}`", f"`{name}`", _cell(getattr(events, name).__doc__, "")) for name in members]
        yield _table(("`type`", "Class", "Meaning"), rows)
        for name in members:
            yield from (f"#### `{name}`", _fields(fields[name]))
    yield "### Values in events"
    for name in fields:
        if name.endswith("Dict"):
            yield from (f"#### `{name}`", _text(parse(getattr(events, name)), ""), _fields(fields[name]))


def _literal(fields: list[Attribute]) -> str:
    """Return the value of an event's ``type`` field, from its annotation."""
    return next(re.findall(r"'(.+)'", field.type)[0] for field in fields if field.name == "type")


def _fields(fields: Iterable[Attribute]) -> str:
    if any(field.doc for field in fields):
        rows = [(f"`{field.name}`", _code(field.type), _cell(field.doc, "")) for field in fields]
        return _table(("Field", "Type", "Meaning"), rows)
    return _table(("Field", "Type"), [(f"`{field.name}`", _code(field.type)) for field in fields])


# Errors


def _errors() -> Iterator[str]:
    yield from ("## Errors", _text(parse(errors), ""))
    base = errors.ClaudeAPIError
    yield from ("### `ClaudeAPIError`", _text(parse(base), "ClaudeAPIError"))
    yield from (
        "### Exceptions by HTTP status",
        "The API's `error.type` decides first, the status second. Exceptions without a status do not come from a "
        "response, or are raised for any response.",
    )
    rows = []
    for name in _by_depth(errors.__all__):
        cls = getattr(errors, name)
        also = [other.__name__ for other in cls.__bases__ if other.__module__ == "builtins" and other is not Exception]
        statuses, types = _statuses(cls), _types(cls)
        rows.append((f"`{name}`", statuses, types, _code(*also), _cell(parse(cls).text.replace("\n\n", " "), "")))
    yield _table(("Exception", "HTTP status", "`error.type`", "Also a", "Meaning"), rows)


def _by_depth(names: Iterable[str]) -> list[str]:
    """Return exception names in the order of their definition."""
    return [name for name in vars(errors) if name in set(names)]


def _statuses(cls: type) -> str:
    statuses = [str(status) for status in sorted(ERROR_TYPE_BY_STATUS) if error_class(status, None) is cls]
    statuses += [f"other {status // 100}xx" for status in (499, 599) if error_class(status, None) is cls]
    return ", ".join(statuses)


def _types(cls: type) -> str:
    types = dict.fromkeys(ERROR_TYPE_BY_STATUS.values())
    return _code(*(error_type for error_type in types if error_class(None, error_type) is cls))


# Generated endpoints


def _endpoints() -> Iterator[str]:
    yield from ("## Generated endpoints: `client.api`", _text(parse(claude_code_client.ClaudeClient.api), ""))
    yield _text(parse(SyncEndpoints), "")
    for base in SyncEndpoints.__mro__:
        for name, member in _members(base):
            if name.startswith("with_"):
                yield from _method("client.api", name, member, level=3)
    yield from ("### Endpoints", "Each is a module with `sync`, `sync_detailed`, `asyncio` and `asyncio_detailed`.")
    contract = json.loads(Path(inspect.getfile(claude_code_api)).with_name("openapi.json").read_bytes())
    rows = [
        (f"`claude_code_api.api.{operation['tags'][0]}.{operation['operationId']}`", f"`{method.upper()} {path}`", text)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
        if isinstance(operation, dict) and (text := operation.get("summary"))
    ]
    yield _table(("Module", "Request", ""), sorted(rows))


# Markdown


def _text(documented: Docstring, owner: str) -> str:
    parts = [_inline(documented.text, owner)]
    for title, items in documented.sections.items():
        heading = "Parameters" if title == "Args" else title
        if title == "Returns":
            parts.append(f"**Returns:** {_inline(items[0].text, owner)}")
        else:
            parts.append("\n".join([f"**{heading}**\n", *(_item(item, owner) for item in items)]))
    return "\n\n".join(parts)


def _item(item: Item, owner: str) -> str:
    name = f"[`{item.name}`](#errors)" if item.name in errors.__all__ else f"`{item.name}`"
    return f"- {name}{f' (`{item.type}`)' if item.type else ''}: {_inline(item.text, owner)}"


def _inline(text: str, owner: str) -> str:
    return markdown(text, lambda name: _link(name, owner))


def _cell(text: str | None, owner: str) -> str:
    return _inline(text or "", owner).replace("|", r"\|")


def _link(name: str, owner: str) -> str | None:
    for cls in dict.fromkeys((owner, "ClaudeClient")):
        if not name.startswith("_") and hasattr(getattr(claude_code_client, cls, None), name):
            return f"#{_slug(f'{cls}.{name}')}"
    return "#errors" if name in errors.__all__ else None


def _slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _code(*names: str) -> str:
    return ", ".join(f"`{name}`" for name in names).replace("|", r"\|")


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *map(list, rows)])


if __name__ == "__main__":
    sys.exit(main())
