"""Commands of CONTRIBUTING.md, checked without running tests from within a test."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.code_blocks import ROOT, blocks

from .test_readme import commands

BLOCKS = blocks("CONTRIBUTING.md")
PYTEST = ".venv/bin/python -m pytest "


def test_all_blocks_are_covered() -> None:
    assert {block.language for block in BLOCKS} == {"sh"}
    assert all(command.startswith(("make ", PYTEST)) for command in commands("CONTRIBUTING.md"))


@pytest.mark.parametrize("command", [each for each in commands("CONTRIBUTING.md") if each.startswith(PYTEST)])
def test_pytest_commands_find_tests(command: str) -> None:
    arguments = command.removeprefix(PYTEST).split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
