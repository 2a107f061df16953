"""Links of the documents, within and between them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.code_blocks import ROOT

DOCUMENTS = [
    *(path.name for path in ROOT.glob("*.md")),
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
    *(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/*.md")),
]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def headings(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a document."""
    found = re.findall(r"^#+ (.+)$", _FENCED.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_and_headings(document: str) -> None:
    path = ROOT / document
    for link in _LINK.findall(_FENCED.sub("", path.read_text(encoding="utf-8"))):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        linked = path.parent / target if target else path
        assert linked.exists(), link
        assert not anchor or anchor in headings(linked), link
