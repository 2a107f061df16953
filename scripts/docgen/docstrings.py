"""Google-style docstrings as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Final

import attrs

Link = Callable[[str], str | None]
"""Returns the address of a documented name, such as ``execute_task`` or ``ClaudeAPIError``, if it has one."""

_SECTION: Final = re.compile(r"^(Args|Returns|Raises|Attributes):\n((?:[ \t].*\n?|\n)+)", re.MULTILINE)
_ITEM: Final = re.compile(r"^(?P<name>[*\w]+)(?: \((?P<type>[^)]+)\))?: ")
_LITERAL_BLOCK: Final = re.compile(r"^(?:(?P<before>\S.*):)?::\n\n(?P<code>(?:[ \t]+.*\n|\n)+)", re.MULTILINE)
_ROLE: Final = re.compile(r":(?:meth|class|attr|func|exc):`~?(?P<target>[\w.]+)`")
_CODE: Final = re.compile(r"``([^`]+)``")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z`\[])")


@attrs.frozen
class Item:
    """Entry of a section: a parameter, an exception or an attribute."""

    name: str
    type: str
    text: str


@attrs.frozen
class Docstring:
    """Parsed docstring."""

    text: str
    """Everything outside the sections, as paragraphs with one line each, except in literal blocks."""
    sections: Mapping[str, tuple[Item, ...]]
    """Section title → entries. ``Returns`` has one entry without a name."""

    @property
    def summary(self) -> str:
        """First sentence."""
        return sentences(self.text.partition("\n")[0])[0]


def parse(documented: object) -> Docstring:
    """Return the docstring of a class, function, property or module in parts; raise ValueError if there is none."""
    text = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
    if not text:
        raise ValueError(f"{documented!r} has no docstring")
    sections = {match[1]: _items(match[1], textwrap.dedent(match[2])) for match in _SECTION.finditer(f"{text}\n")}
    return Docstring(_unwrapped(_SECTION.sub("", f"{text}\n")), sections)


def sentences(text: str) -> list[str]:
    """Split a paragraph into sentences."""
    return _SENTENCE_END.split(text)


def markdown(text: str, link: Link) -> str:
    """Return docstring text as Markdown: code in single backticks, and cross-references as links."""

    def reference(match: re.Match[str]) -> str:
        name = match["target"].rpartition(".")[2]
        shown = f"{name}()" if match[0].startswith(":meth:") else name
        address = link(name)
        return f"[`{shown}`]({address})" if address else f"`{shown}`"

    return _CODE.sub(r"`\1`", _ROLE.sub(reference, text))


def _items(title: str, body: str) -> tuple[Item, ...]:
    if title == "Returns":
        return (Item("", "", _joined(body)),)
    items = []
    for entry in re.split(r"^(?=\S)", body, flags=re.MULTILINE):
        if match := _ITEM.match(entry):
            items.append(Item(match["name"], match["type"] or "", _joined(entry[match.end() :])))
        elif entry.strip():
            raise ValueError(f"not an entry of {title}: {entry!r}")
    return tuple(items)


def _unwrapped(text: str) -> str:
    """Join the lines of each paragraph, and fence literal blocks."""
    parts = []
    end = 0
    for match in _LITERAL_BLOCK.finditer(text):
        parts += [_joined(part) for part in re.split(r"\n\n+", text[end : match.start()])]
        parts += [f"{match['before']}:" if match["before"] else ""]
        parts += [f"```text\n{textwrap.dedent(match['code']).strip()}\n```"]
        end = match.end()
    parts += [_joined(part) for part in re.split(r"\n\n+", text[end:])]
    return "\n\n".join(part for part in parts if part)


def _joined(text: str) -> str:
    return " ".join(text.split())
