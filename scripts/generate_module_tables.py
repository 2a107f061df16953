"""Write the tables of modules in ARCHITECTURE.md from module docstrings, or check that they are up to date."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from docgen.docstrings import sentences
from docgen.source import module_docstring

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "ARCHITECTURE.md"
_TABLE: Final = re.compile(r"(<!-- modules of (?P<directory>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(directory: Path) -> str:
    """Return the modules of a directory and the first sentence of each docstring."""
    rows = [("Module", "Job"), ("---", "---")]
    for path in sorted(directory.glob("*.py")):
        job = sentences(module_docstring(path).replace("\n", " "))[0].replace("``", "`").replace("|", r"\|")
        rows.append((f"`{path.name}`", job.removesuffix(".")))
    return "".join(f"| {name} | {job} |\n" for name, job in rows)


def main() -> int:
    """Parse the command line and run; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table is out of date")
    check = parser.parse_args().check
    text = PAGE.read_text(encoding="utf-8")
    expected = _TABLE.sub(lambda found: f"{found[1]}\n{table(ROOT / found['directory'])}\n{found[3]}", text)
    if not check:
        PAGE.write_text(expected, encoding="utf-8", newline="\n")
    elif text != expected:
        print(f"{PAGE.name} does not match the modules' docstrings: run `make generate`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
