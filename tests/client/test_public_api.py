"""Public names with their signatures, pinned: a change here is a change that users notice."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import claude_code_client
from claude_code_client import errors, models

PINNED = Path(__file__).with_name("public_api.txt")
INTERNAL_CONSTRUCTORS = {
    f"{prefix}{name}" for prefix in ("", "Async") for name in ("Batch", "Stream", "TaskStream", "TaskHandle")
}
"""Classes that users get from methods and do not create."""


def public_api() -> Iterator[str]:
    """Yield a line for each public name, and one for each public attribute of a class."""
    seen: set[Any] = set()
    for module in (claude_code_client, errors, models):
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if not isinstance(value, type):
                yield f"{module.__name__}.{name}"
            elif value not in seen:
                seen.add(value)
                yield f"{module.__name__}.{name}({', '.join(_public_bases(value))})"
                yield from (f"    {line}" for line in _attributes(value))


def _public_bases(cls: type) -> list[str]:
    public = {*claude_code_client.__all__, *models.__all__}
    return [base.__name__ for base in cls.__mro__[1:] if base.__name__ in public or base.__module__ == "builtins"][:-1]


def _attributes(cls: type) -> Iterator[str]:
    if cls.__name__ not in INTERNAL_CONSTRUCTORS:
        yield f"__init__{_signature(inspect.getattr_static(cls, '__init__'))}"
    inherited = {*dir(Exception), *dir(OSError), *dir(dict)}
    for name in sorted(name for name in dir(cls) if not name.startswith("_") and name not in inherited):
        static, value = inspect.getattr_static(cls, name), getattr(cls, name)
        if isinstance(static, property):
            yield f"{name} -> {inspect.signature(static.fget).return_annotation}" if static.fget else name
        elif callable(value):
            yield f"{'async ' if inspect.iscoroutinefunction(value) else ''}{name}{_signature(value)}"
        else:
            yield name


def _signature(function: Any) -> str:
    try:
        return str(inspect.signature(function))
    except (TypeError, ValueError):
        return "(...)"


def test_public_api_is_pinned() -> None:
    assert "\n".join(public_api()) + "\n" == PINNED.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    ["execute_task", "stream_task", "submit_task", "complete", "stream_complete", "map_completions", "map_tasks"],
)
@pytest.mark.parametrize("cls", [claude_code_client.ClaudeClient, claude_code_client.AsyncClaudeClient])
def test_help_lists_every_option(cls: type, name: str) -> None:
    method = getattr(cls, name)
    parameters = inspect.signature(method).parameters
    assert all(each.kind is not inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    assert method.__doc__ is not None
    assert "{options}" not in method.__doc__
    if name in ("execute_task", "complete", "map_completions", "map_tasks"):
        undocumented = [each for each in parameters if f"    {each}: " not in method.__doc__ and each != "self"]
        assert not undocumented


def test_unknown_option_raises_type_error() -> None:
    client = claude_code_client.ClaudeClient("sk-proj-x")
    with pytest.raises(TypeError, match=r"execute_task\(\) got an unexpected keyword argument 'nonsense'"):
        client.execute_task("x", nonsense=1)  # type: ignore[call-arg]
