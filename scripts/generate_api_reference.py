"""Write docs/api-reference.md from signatures and docstrings, or check that it is up to date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from docgen import classes, markdown, values

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "api-reference.md"
INTRODUCTION: Final = """\
<!-- Generated from the docstrings by `make generate`. Do not edit. -->

# API reference

Every public class, method, field and exception. The [README](../README.md) explains how they work together.

Times are in seconds and amounts of money in USD. Everything is imported from `claude_code_client`, unless a section
names another module."""


def page() -> str:
    """Return the whole page."""
    sections = [
        *classes.client_section(),
        *classes.async_section(),
        *(part for name in classes.CLASSES[1:] for part in classes.class_section(name)),
        *values.models_section(),
        *values.batches_section(),
        *values.observation_section(),
        *values.events_section(),
        *values.errors_section(),
        *values.endpoints_section(),
    ]
    titles = [part.removeprefix("## ") for part in sections if part.startswith("## ")]
    contents = "\n".join(f"- [{title}]({markdown.anchor(title)})" for title in titles)
    return "\n\n".join([INTRODUCTION, contents, *sections]) + "\n"


def main() -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.relative_to(ROOT)} does not match the docstrings: run `make generate`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
