"""Code blocks of the project's Markdown documents."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Fenced code block and its position."""

    document: str
    line: int
    heading: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line} {self.heading}"


def blocks(document: str) -> list[Block]:
    """Return all fenced blocks of a document, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()]
        headings = _HEADING.findall(before)
        line = before.count("\n") + 2
        found.append(Block(document, line, headings[-1] if headings else "", match["language"], match["code"]))
    return found
