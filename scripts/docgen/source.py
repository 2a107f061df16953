"""Documentation that Python does not keep at run time, read from source files."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import attrs


@attrs.frozen
class Attribute:
    """Annotated attribute of a class or module, with the string literal that follows it."""

    name: str
    type: str
    doc: str


def module_attributes(path: Path) -> dict[str, Attribute]:
    """Return the attributes of a module that have a docstring."""
    return {attribute.name: attribute for attribute in _attributes(_parse(path).body) if attribute.doc}


def class_attributes(path: Path) -> dict[str, list[Attribute]]:
    """Return the public annotated attributes of each class of a module, in order."""
    return {
        node.name: [item for item in _attributes(node.body) if item.type and not item.name.startswith("_")]
        for node in _parse(path).body
        if isinstance(node, ast.ClassDef)
    }


def module_docstring(path: Path) -> str:
    """Return the first paragraph of a module's docstring; raise ValueError if it has none."""
    docstring = ast.get_docstring(_parse(path))
    if not docstring:
        raise ValueError(f"{path} has no docstring")
    return docstring.partition("\n\n")[0]


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _attributes(body: list[ast.stmt]) -> list[Attribute]:
    found = []
    for node, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(Attribute(node.target.id, ast.unparse(node.annotation), _literal(following)))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.append(Attribute(node.targets[0].id, "", _literal(following)))
    return found


def _literal(node: ast.stmt) -> str:
    """Return the text of a statement that is a string literal, on one line."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(inspect.cleandoc(node.value.value).split())
    return ""
