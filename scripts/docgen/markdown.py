"""Docstrings, tables and links as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import claude_code_client
from claude_code_client import errors

from .docstrings import Docstring, Item

_ROLE: Final = re.compile(r":(?:meth|class|attr|func|exc):`~?(?P<target>[\w.]+)`")
_CODE: Final = re.compile(r"(?<!`)``([^`]+)``(?!`)")


def docstring(parsed: Docstring, owner: str) -> str:
    """Return a whole docstring. ``owner`` is the class whose methods its cross-references mean first."""
    parts = [inline(parsed.text, owner)]
    for title, items in parsed.sections.items():
        if title == "Returns":
            parts.append(f"**Returns:** {inline(items[0].text, owner)}")
        else:
            heading = "Parameters" if title == "Args" else title
            parts.append("\n".join([f"**{heading}**\n", *(_list_item(item, owner) for item in items)]))
    return "\n\n".join(parts)


def _list_item(item: Item, owner: str) -> str:
    name = f"[`{item.name}`](#exceptions)" if item.name in errors.__all__ else f"`{item.name}`"
    return f"- {name}{f' (`{item.type}`)' if item.type else ''}: {inline(item.text, owner)}"


def inline(text: str, owner: str = "") -> str:
    """Return docstring text with code in single backticks, and with links in place of cross-references."""

    def reference(match: re.Match[str]) -> str:
        name = match["target"].rpartition(".")[2]
        shown = f"{name}()" if match[0].startswith(":meth:") else name
        address = _address(name, owner)
        return f"[`{shown}`]({address})" if address else f"`{shown}`"

    return _CODE.sub(r"`\1`", _ROLE.sub(reference, text))


def cell(text: str | None, owner: str = "") -> str:
    """Return docstring text for a table."""
    return inline(" ".join((text or "").split()), owner).replace("|", r"\|")


def code(names: Iterable[str]) -> str:
    """Return names as code, for a table."""
    return ", ".join(f"`{name}`" for name in names).replace("|", r"\|")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table."""
    head = list(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _address(name: str, owner: str) -> str | None:
    if name in errors.__all__:
        return "#exceptions"
    for cls in dict.fromkeys((owner, "ClaudeClient")):
        if not name.startswith("_") and callable(getattr(getattr(claude_code_client, cls, None), name, None)):
            return anchor(f"{cls}.{name}")
    return None
