"""Completeness of the API reference, and traces that generating it must not leave."""

from __future__ import annotations

import inspect
import re
from typing import Any

import attrs
import pytest
from support.code_blocks import ROOT, blocks

import claude_code_client
from claude_code_client import Budget, ClaudeClient, Stream, TaskHandle, TaskStream, errors, models

PAGE = "docs/api-reference.md"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
INTERNAL = {"Budget.reserve"}


@pytest.mark.parametrize("module", [claude_code_client, errors, models], ids=lambda module: module.__name__)
def test_every_public_name_is_mentioned(module: Any) -> None:
    names = {name for name in module.__all__ if not name.startswith("__")}
    assert {name for name in names if f"`{name}`" not in TEXT} == set()


@pytest.mark.parametrize("cls", [ClaudeClient, TaskHandle, TaskStream, Stream, Budget])
def test_every_method_and_property_is_documented(cls: type) -> None:
    section = TEXT.partition(f"## `{cls.__name__}`\n")[2]
    bases = [base for base in cls.__mro__ if base.__module__.startswith("claude_code_client.")]
    for name in (name for base in bases for name in vars(base)):
        if name.startswith("_") or f"{cls.__name__}.{name}" in INTERNAL:
            continue
        static = inspect.getattr_static(cls, name)
        is_method = callable(static) or isinstance(static, classmethod)
        owner = next(base.__name__ for base in cls.__mro__ if name in vars(base)) if cls is TaskStream else cls.__name__
        assert (f"# `{owner}.{name}()`\n" if is_method else f"| `{name}` |") in section, name


def test_every_field_of_a_model_is_documented() -> None:
    for name in models.__all__:
        model = getattr(models, name)
        if isinstance(model, type) and attrs.has(model):
            section = TEXT.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
            fields = {field.name for field in attrs.fields(model)} - {"extra"}
            assert {field for field in fields if f"| `{field}` |" not in section} == set(), name


def test_every_option_is_documented() -> None:
    for name in ("complete", "execute_task", "download_artifact"):
        section = TEXT.partition(f"#### `ClaudeClient.{name}()`\n")[2].partition("\n#### ")[0]
        parameters = set(inspect.signature(getattr(ClaudeClient, name)).parameters) - {"self"}
        assert {each for each in parameters if f"\n- `{each}`: " not in section} == set(), name


def test_no_markup_of_docstrings_is_left() -> None:
    prose = re.sub(r"^```text\n.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(
        r"``|:\w+:`|^(?:Args|Returns|Raises|Attributes):|\{options\}|NOTHING|<factory>", prose, re.MULTILINE
    )


def test_blocks_are_signatures() -> None:
    assert {block.language for block in blocks(PAGE)} == {"text"}
