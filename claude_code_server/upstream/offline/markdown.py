"""Markdown document about one file, made from its outline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from .outline import Item, Outline, language
from .tool_output import FileText


def document(path: str, file: FileText, found: Outline) -> str:
    """Return a Markdown document about ``path`` that contains only facts from the file itself."""
    return "\n\n".join(_blocks(path, file, found)) + "\n"


def public(items: Iterable[Item]) -> list[Item]:
    """Return the items whose names do not start with an underscore."""
    return [item for item in items if not item.name.startswith("_")]


def _blocks(path: str, file: FileText, found: Outline) -> Iterator[str]:
    what = language(path)
    lines = "1 line" if file.line_count == 1 else f"{file.line_count} lines"
    yield f"# {PurePosixPath(path).name}"
    if found.about:
        yield found.about
    yield f"Source: `{path}` ({what + ', ' if what else ''}{lines})."
    if found.syntax_error:
        yield f"The file does not parse as Python ({found.syntax_error}), so its functions are not listed."
    yield from _section("Functions", public(found.functions))
    yield from _section("Classes", public(found.classes))
    if found.headings:
        yield "## Contents"
        yield "\n".join(f"{'  ' * (item.level - 1)}- {item.name}" for item in found.headings)
    hidden = sum(len(items) - len(public(items)) for items in (found.functions, found.classes))
    if hidden:
        whose = "whose name starts" if hidden == 1 else "whose names start"
        yield f"Not listed: {hidden} {whose} with an underscore."
    if found.marks:
        yield "## Open points"
        yield "\n".join(f"- line {number}: `{text.replace('`', chr(39))}`" for number, text in found.marks)
    yield "---"
    yield "Written from the file's text by the offline model (rule-based, not a language model)."


def _section(title: str, items: list[Item]) -> Iterator[str]:
    if items:
        yield f"## {title}"
    for item in items:
        yield f"### `{item.signature or item.name}`"
        yield item.about or "No docstring." if item.signature else f"Line {item.line}."
        if methods := public(item.methods):
            yield "\n".join(f"- `{m.signature}`{': ' + m.about if m.about else ''}" for m in methods)
