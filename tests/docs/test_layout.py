"""Size of files and classes, and the first words of docstrings, as CONTRIBUTING.md asks for them.

Test files may be longer, but each has a docstring.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from support.code_blocks import ROOT

PACKAGES = ("claude_code_client", "claude_code_common", "claude_code_server")
MAX_FILE_LINES = 400
MAX_CLASS_LINES = 250
MAX_ENTRIES = 12

_RIDDLE = re.compile(r"(What|Whether|That|Those|Who|How|Where|Why|When|Which|The same|One of)\b")
_PERHAPS_RIDDLE = re.compile(rf'^\s*r?"+\s*{_RIDDLE.pattern}', re.MULTILINE)
_MODULE_DOCSTRING = re.compile(r'(#.*\n|\n)*r?"""\S')
_VERBS_IN_S = {"Pass", "Process"}
_NO_VERBS = {"A", "An", "All", "As", "Called", "For", "Nothing", "One", "The", "Within"}

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Holder = (ast.stmt, ast.ExceptHandler, ast.match_case)
Function = (ast.FunctionDef, ast.AsyncFunctionDef)


def files(*directories: str) -> list[Path]:
    return [path for directory in directories for path in sorted((ROOT / directory).rglob("*.py"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def definitions(path: Path) -> list[Definition]:
    """Return the module, classes and functions of a file."""
    found: list[Definition] = []
    # Statements, and what holds statements: nothing in an expression is a definition, and most nodes are expressions.
    todo: list[ast.AST] = [ast.parse(text(path))]
    while todo:
        node = todo.pop()
        if isinstance(node, Definition):
            found.append(node)
        todo += [each for each in ast.iter_child_nodes(node) if isinstance(each, Holder)]
    return found


def docstrings(path: Path) -> Iterator[str]:
    """Yield the docstrings of a file, with those of constants and attributes, which follow their assignments."""
    for node in definitions(path):
        if docstring := ast.get_docstring(node):
            yield docstring
        for before, after in pairwise(node.body):
            match before, after:
                case ast.Assign() | ast.AnnAssign(), ast.Expr(value=ast.Constant(value=str(docstring))):
                    yield docstring


def is_property(node: Definition) -> bool:
    return not isinstance(node, ast.Module) and any("property" in ast.unparse(each) for each in node.decorator_list)


def is_imperative(docstring: str) -> bool:
    """Return whether the first word can be an imperative verb: a cheap test that finds nouns and "Returns"."""
    word = docstring.split()[0].rstrip(",.:;")
    return word.isalpha() and word[0].isupper() and word not in _NO_VERBS and (
        not word.endswith("s") or word in _VERBS_IN_S
    )  # fmt: skip


SOURCES = files(*PACKAGES, "scripts")
EVERYTHING = files(*PACKAGES, "scripts", "tests", "benchmarks", "examples")


def test_files_and_classes_are_small() -> None:
    too_long = []
    for path in SOURCES:
        too_long += [name(path)] if len(text(path).splitlines()) > MAX_FILE_LINES else []
        classes = [node for node in definitions(path) if isinstance(node, ast.ClassDef)]
        too_long += [
            f"{name(path)}: {node.name}" for node in classes if (node.end_lineno or 0) - node.lineno >= MAX_CLASS_LINES
        ]
    assert too_long == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_have_few_entries(package: str) -> None:
    # Modules and packages. A folder that git no longer knows may be left with nothing but caches.
    entries = {path.name for path in (ROOT / package).iterdir() if path.suffix == ".py" or any(path.rglob("*.py"))}
    assert len(entries) <= MAX_ENTRIES, entries


def test_every_module_has_a_docstring() -> None:
    texts = {name(path): text(path) for path in EVERYTHING}
    assert [each for each, content in texts.items() if content and not _MODULE_DOCSTRING.match(content)] == []


def test_docstrings_open_with_a_verb_or_noun() -> None:
    # Parsed only where a line opens like a riddle, which may be in another string than a docstring.
    suspects = [path for path in EVERYTHING if _PERHAPS_RIDDLE.search(text(path))]
    riddles = [f"{name(path)}: {each}" for path in suspects for each in docstrings(path) if _RIDDLE.match(each)]
    assert riddles == []
    no_verbs = [
        f"{name(path)}: {docstring}"
        for path in SOURCES
        for node in definitions(path)
        if isinstance(node, Function) and (docstring := ast.get_docstring(node))
        if not is_property(node) and not is_imperative(docstring)
    ]
    assert no_verbs == []
