"""Check of the generator's and formatter's versions: other versions would write other code."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .errors import GenerationError

TOOLS = ("openapi-python-client", "ruff")


def check_tool_versions(pyproject: Path) -> None:
    """Raise GenerationError unless the installed tools have the versions that pyproject.toml pins."""
    groups = tomllib.loads(pyproject.read_text(encoding="utf-8"))["dependency-groups"]
    pins = dict(entry.split("==") for entry in groups["dev"] if isinstance(entry, str) and "==" in entry)
    for tool in TOOLS:
        if tool not in pins:
            raise GenerationError(f"{pyproject.name}: the dev group must pin {tool} exactly (==)")
        try:
            installed = version(tool)
        except PackageNotFoundError:
            installed = "not installed"
        if installed != pins[tool]:
            raise GenerationError(
                f"{tool} must be {pins[tool]} (pinned in {pyproject.name}), but is {installed}: "
                "run `make generate`, or install the dev group into this environment"
            )
