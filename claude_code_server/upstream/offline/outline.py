"""Outline of a file: functions, classes, headings, lines with TODO or FIXME."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import PurePosixPath

import attrs

from .file_kinds import BY_NAME

_MARK = re.compile(r"\b(?:TODO|FIXME)\b")
_FENCE = re.compile(r"\s*(?:```|~~~)")
_MODIFIERS = r"(?:(?:export|default|pub(?:\([^)]*\))?|public|static|abstract|final|sealed|async)\s+)*"
_FUNCTION = re.compile(rf"{_MODIFIERS}(?:function\*?|func|fn|fun|def)\s+(?:\([^)]*\)\s*)?(\w+)|(\w+)\s*\(\)\s*\{{")
_CLASS = re.compile(rf"{_MODIFIERS}(?:class|interface|struct|enum|trait)\s+(\w+)")


@attrs.frozen
class Item:
    """A function, class, method or heading."""

    name: str
    line: int
    about: str = ""
    """First line of its docstring."""
    signature: str = ""
    methods: tuple[Item, ...] = ()
    level: int = 1


@attrs.frozen
class Outline:
    """Outline of a file; what does not apply to its language is empty."""

    about: str = ""
    """First paragraph of a module's docstring."""
    functions: tuple[Item, ...] = ()
    classes: tuple[Item, ...] = ()
    headings: tuple[Item, ...] = ()
    marks: tuple[tuple[int, str], ...] = ()
    """Lines with TODO or FIXME: number and text."""
    syntax_error: str = ""
    """Reason why a Python file could not be parsed."""


def outline(path: str, text: str) -> Outline:
    """Return the outline of a file; its name determines the language."""
    lines = text.split("\n")
    marks = tuple((n, line.strip()) for n, line in enumerate(lines, 1) if _MARK.search(line))
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in {".py", ".pyi"}:
        return _python(text, marks)
    if suffix in {".md", ".markdown"}:
        return Outline(headings=_headings(lines), marks=marks)
    if f"*{suffix}" in BY_NAME["code"].patterns:
        found = ((n, _FUNCTION.match(line), _CLASS.match(line)) for n, line in enumerate(lines, 1))
        numbered = list(found)
        functions = tuple(Item(f[1] or f[2], n) for n, f, _ in numbered if f)
        classes = tuple(Item(c[1], n) for n, _, c in numbered if c)
        return Outline(functions=functions, classes=classes, marks=marks)
    return Outline(marks=marks)


def language(path: str) -> str:
    """Return the language of a file by its name, such as ``Python``; empty if unknown."""
    pattern = f"*{PurePosixPath(path).suffix.lower()}"
    return next((kind.label for kind in BY_NAME.values() if pattern in kind.patterns), "")


def _python(text: str, marks: tuple[tuple[int, str], ...]) -> Outline:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        return Outline(marks=marks, syntax_error=f"line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Outline(marks=marks, syntax_error=str(error) or type(error).__name__)
    about = (ast.get_docstring(tree) or "").split("\n\n")[0]
    functions = tuple(_function(node) for node in tree.body if isinstance(node, _DEF))
    classes = tuple(_class(node) for node in tree.body if isinstance(node, ast.ClassDef))
    return Outline(" ".join(about.split()), functions, classes, marks=marks)


_DEF = (ast.FunctionDef, ast.AsyncFunctionDef)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Item:
    prefix = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    signature = f"{prefix}{node.name}({ast.unparse(node.args)}){returns}"
    return Item(node.name, node.lineno, _first_line(node), signature)


def _class(node: ast.ClassDef) -> Item:
    bases = ", ".join(ast.unparse(base) for base in [*node.bases, *(k.value for k in node.keywords)])
    signature = f"{node.name}({bases})" if bases else node.name
    methods = tuple(_function(item) for item in node.body if isinstance(item, _DEF))
    return Item(node.name, node.lineno, _first_line(node), signature, methods)


def _first_line(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _headings(lines: list[str]) -> tuple[Item, ...]:
    found: list[Item] = []
    fenced = False
    for number, line in enumerate(lines, 1):
        if _FENCE.match(line):
            fenced = not fenced
            continue
        title = line.lstrip("#")
        level = len(line) - len(title)
        if not fenced and 1 <= level <= 6 and title[:1].isspace() and title.strip(" \t#"):
            found.append(Item(title.strip().rstrip("#").rstrip(), number, level=level))
    return tuple(found)
