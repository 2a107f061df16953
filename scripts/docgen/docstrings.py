"""Google-style docstrings in parts."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Final

import attrs

_SECTION: Final = re.compile(r"^(Args|Returns|Raises|Attributes):\n((?:[ \t].*\n?|\n)+)", re.MULTILINE)
_ITEM: Final = re.compile(r"^(?P<name>\w+)(?: \((?P<type>[^)]+)\))?: ")
_LITERAL_BLOCK: Final = re.compile(r"^(?P<before>.*)::\n\n(?P<code>(?:[ \t]+.*\n|\n)+)", re.MULTILINE)
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
    """Everything outside the sections: paragraphs on one line each, and literal blocks as fenced blocks."""
    sections: Mapping[str, tuple[Item, ...]]
    """Section title → entries. ``Returns`` has one entry without a name."""

    @property
    def summary(self) -> str:
        """First sentence."""
        return sentences(self.text)[0]


def parse(documented: object) -> Docstring:
    """Return the docstring of a class, function or module in parts; raise ValueError if there is none."""
    text = inspect.cleandoc(getattr(documented, "__doc__", None) or "")
    if not text:
        raise ValueError(f"{documented!r} has no docstring")
    sections = {match[1]: _items(match[1], textwrap.dedent(match[2])) for match in _SECTION.finditer(f"{text}\n")}
    return Docstring(_paragraphs(_SECTION.sub("", f"{text}\n")), sections)


def sentences(text: str) -> list[str]:
    """Split text into sentences."""
    return _SENTENCE_END.split(text)


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


def _paragraphs(text: str) -> str:
    parts = []
    end = 0
    for match in _LITERAL_BLOCK.finditer(text):
        parts += text[end : match.start()].split("\n\n")
        parts += [f"{match['before']}:"] if match["before"] else []
        parts += [f"```text\n{textwrap.dedent(match['code']).strip()}\n```"]
        end = match.end()
    parts += text[end:].split("\n\n")
    joined = (part if part.startswith("```") else _joined(part) for part in parts)
    return "\n\n".join(part for part in joined if part)


def _joined(text: str) -> str:
    return " ".join(text.split())
