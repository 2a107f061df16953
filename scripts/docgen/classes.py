"""Sections of the API reference about classes with methods."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import claude_code_client

from . import markdown
from .docstrings import parse, sentences
from .source import Attribute

CLASSES: Final = ("ClaudeClient", "TaskHandle", "TaskStream", "Stream", "Batch", "Budget", "ResponseCache")
"""Documented classes, in the order of the page; those with an ``Async`` twin have one documentation for both."""
CREATED: Final = {"ResponseCache"}
"""Classes, other than the clients, whose objects users create."""
INTERNAL: Final = {"Budget.reserve()"}
"""Methods without an underscore that only this library calls."""

_WIDTH: Final = 100
_MECHANICAL: Final = (
    (r"\ban ``async with``", "a ``with``"),
    (r"\basync (with|for)\b", r"\1"),
    (r"\bAsync(?=[A-Z])|\bawait ", ""),
    (r"\ba(close|send|throw)\b", r"\1"),
    (r"\b__anext__\b", "__next__"),
    (r"\basynchronous\b", "synchronous"),
)
"""Words of the asynchronous documentation → the synchronous ones, for differences that need no mention."""


def client_section() -> Iterator[str]:
    """Yield the parts of the section on ClaudeClient."""
    client = claude_code_client.ClaudeClient
    groups = [client, *(base for base in client.__mro__[1:] if any(members(base)))]
    yield from ("## `ClaudeClient`", markdown.docstring(parse(client), "ClaudeClient"))
    rows = [
        (
            f"[`{name}`]({markdown.anchor(f'ClaudeClient.{name}')})",
            markdown.cell(parse(_function(member)).summary, "ClaudeClient"),
        )
        for group in groups
        for name, member in members(group)
        if not isinstance(member, property)
    ]
    yield markdown.table(("Method", "Summary"), rows)
    yield fields_table(properties(client), "ClaudeClient", title="Property")
    yield from method("ClaudeClient", "ClaudeClient", client.__init__, level=3)
    for group in groups:
        if group is not client:
            yield from (f"### {group.__name__}", markdown.docstring(parse(group), "ClaudeClient"))
        yield from methods(group, "ClaudeClient", level=4)


def async_section() -> Iterator[str]:
    """Yield the parts of the section on the asynchronous classes: how they differ from the synchronous ones."""
    yield from ("## `AsyncClaudeClient`", parse(claude_code_client.AsyncClaudeClient).summary)
    yield (
        "The asynchronous classes have the methods, parameters and exceptions of the synchronous ones. Coroutine "
        "functions are called with `await`; streams are read with `async for`, and handles used with `async with`."
    )
    rows: list[tuple[str, ...]] = []
    differences: list[str] = []
    for name in CLASSES:
        cls = getattr(claude_code_client, f"Async{name}", None)
        if cls is None:
            continue
        twin = getattr(claude_code_client, name)
        all_members = [member for base in _undocumented(cls) for member in members(base)]
        coroutines = [shown for shown, member in all_members if inspect.iscoroutinefunction(_function(member))]
        others = [shown for shown, _ in all_members if shown not in coroutines]
        rows.append((f"`{cls.__name__}`", markdown.code(coroutines), markdown.code(others)))
        differences += _differences(f"`{cls.__name__}`", cls, twin)
        for shown, member in all_members:
            twin_member = getattr(twin, _synchronous(shown).removesuffix("()"))
            differences += _differences(f"`{cls.__name__}.{shown}`", _function(member), _function(twin_member))
    yield markdown.table(("Class", "With `await`", "Without `await`"), rows)
    yield "Their documentation differs in these points:"
    yield "\n".join(f"- {difference}" for difference in differences)


def class_section(name: str) -> Iterator[str]:
    """Yield the parts of the section on another class."""
    cls = getattr(claude_code_client, name)
    yield from (f"## `{name}`", markdown.docstring(parse(cls), name))
    for base in cls.__bases__:
        if base.__name__ in CLASSES:
            yield f"Has the methods of [`{base.__name__}`]({markdown.anchor(base.__name__)}) too."
    if attributes := properties(cls):
        yield fields_table(attributes, name, title="Property")
    if name in CREATED:
        yield from method(name, name, cls.__init__, level=3)
    yield from methods(cls, name, level=3)


def methods(cls: type, owner: str, *, level: int) -> Iterator[str]:
    """Yield heading, signature and documentation of each public method that a class defines, in order."""
    for name, member in members(cls):
        if not isinstance(member, property):
            yield from method(owner, name, member, level=level)


def properties(cls: type) -> list[Attribute]:
    """Return the public properties that a class defines, in order."""
    getters = [(name, _function(member)) for name, member in members(cls) if isinstance(member, property)]
    return [Attribute(name, inspect.signature(get).return_annotation, parse(get).text) for name, get in getters]


def fields_table(fields: Iterable[Attribute], owner: str = "", *, title: str = "Field") -> str:
    """Return a table of attributes with their types."""
    rows = [(f"`{field.name}`", markdown.code([field.type]), markdown.cell(field.doc, owner)) for field in fields]
    return markdown.table((title, "Type", "Meaning"), rows)


def _undocumented(cls: type) -> Iterator[type]:
    """Yield a class and its base classes that have no section of their own."""
    return (base for base in cls.__mro__ if base is cls or base.__name__.removeprefix("Async") not in CLASSES)


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods, as ``name()``, and properties that a class of the client defines, in order."""
    if not cls.__module__.startswith("claude_code_client."):
        return
    for name, member in vars(cls).items():
        if name.startswith("_") or f"{cls.__name__}.{name}()" in INTERNAL:
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


def method(owner: str, name: str, member: Any, *, level: int) -> Iterator[str]:
    """Yield heading, signature and documentation of a method."""
    shown = f"{owner}()" if name == owner else f"{owner}.{name}"
    function = _function(member)
    yield f"{'#' * level} `{shown}`"
    yield f"```text\n{_signature(owner, name.removesuffix('()'), function)}\n```"
    yield markdown.docstring(parse(function), owner)


def _signature(owner: str, name: str, function: Any) -> str:
    """Return a signature as source code would write it, without ``self``."""
    signature = inspect.signature(function)
    returns = signature.return_annotation
    if returns == "Self" and owner.isidentifier():
        returns = owner
    elif inspect.isgeneratorfunction(inspect.unwrap(function)):
        returns = returns.replace("Iterator", "AbstractContextManager")
    parameters = _parameters(list(signature.parameters.values())[1:])
    result = "" if name == owner else f" -> {returns}"
    line = f"{name}({', '.join(parameters)}){result}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {parameter}," for parameter in parameters), f"){result}"])


def _parameters(parameters: list[inspect.Parameter]) -> list[str]:
    """Return parameters as source code would write them, with the ``*`` and ``/`` between them."""
    written: list[str] = []
    kind = None
    for parameter in parameters:
        if kind is parameter.POSITIONAL_ONLY and parameter.kind is not kind:
            written.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and kind not in (parameter.kind, parameter.VAR_POSITIONAL):
            written.append("*")
        kind = parameter.kind
        star = "*" if kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        written.append(f"{star}{parameter.name}: {parameter.annotation}{default}")
    return [*written, "/"] if kind is inspect.Parameter.POSITIONAL_ONLY else written


def _differences(title: str, documented: object, twin: object) -> Iterator[str]:
    """Yield what a docstring says and that of the synchronous twin does not, by parameter."""
    parsed, other = parse(documented), parse(twin)
    other_items = {item.name: item.text for items in other.sections.values() for item in items}
    texts = [("", parsed.text, other.text)]
    for items in parsed.sections.values():
        texts += [(item.name, item.text, other_items.get(item.name, "")) for item in items]
    for name, text, other_text in texts:
        known = sentences(other_text)
        new = [sentence for sentence in sentences(text) if _synchronous(sentence) not in known]
        if new:
            yield f"{title}{f', `{name}`' if name else ''}: {markdown.inline(' '.join(new))}"


def _synchronous(text: str) -> str:
    for pattern, replacement in _MECHANICAL:
        text = re.sub(pattern, replacement, text)
    return text
