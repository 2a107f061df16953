"""Tables of modules in ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.code_blocks import ROOT

from claude_code_client._config import DEFAULT_STREAM_READ_TIMEOUT, DEFAULT_TIMEOUT
from claude_code_client._operations import task_deadlines
from claude_code_client._policy import retry
from claude_code_client._transport.failures import CONNECT_TIMEOUT
from claude_code_server.domain.settings import Settings

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES = ("claude_code_client", "claude_code_common", "claude_code_server")
GENERATED = ROOT / "claude_code_client" / "_client" / "_sync"
MODULES = [
    path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")) if GENERATED not in path.parents
]
_TABLE = re.compile(r"<!-- modules of (\S+) -->(.*?)<!-- end -->", re.DOTALL)
_ROW = re.compile(r"^\| `(\w+\.py)` \| (.+) \|$", re.MULTILINE)


def listed() -> list[tuple[Path, str]]:
    """Return each listed module with its job."""
    tables = _TABLE.findall(TEXT)
    return [(ROOT / directory / name, job) for directory, rows in tables for name, job in _ROW.findall(rows)]


def test_every_module_is_listed_once() -> None:
    assert Counter(path for path, _ in listed()) == Counter(MODULES)


def test_jobs_are_the_starts_of_the_docstrings() -> None:
    for path, job in listed():
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert docstring is not None, path
        assert " ".join(docstring.split()).replace("``", "`").startswith(job.replace("\\|", "|")), path


@pytest.mark.parametrize(
    ("limit", "values"),
    [
        ("Whole call", [DEFAULT_TIMEOUT]),
        ("… about a task", [task_deadlines._MAX_GRACE]),
        ("One long poll", [task_deadlines.LONG_POLL]),
        ("Cancelling a task that its caller has left", [task_deadlines.CANCEL_TIMEOUT]),
        (
            "Silence on a stream or download",
            [DEFAULT_STREAM_READ_TIMEOUT, Settings(workspace=ROOT, api_keys=()).ping_interval],
        ),
        ("One connection attempt", [CONNECT_TIMEOUT]),
        ("Wait before a retry", [retry.BASE_DELAY, retry.MAX_DELAY, retry.MAX_RETRY_AFTER]),
    ],
)
def test_limits_are_those_of_the_code(limit: str, values: list[float]) -> None:
    [row] = re.findall(rf"^\| {re.escape(limit)} \| (.+) \| `", TEXT, re.MULTILINE)
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", row)]
    assert [value for value in values if value not in numbers] == []


@pytest.mark.parametrize("script", ["generate_module_tables", "generate_api_reference"])
def test_generated_documents_are_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, f"scripts/{script}.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
