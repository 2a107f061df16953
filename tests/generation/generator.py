"""Runs of scripts/generate.py, in a process of its own or in this one, and of programs that use its output."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "generated" / "claude_code_api"
SPEC = ROOT / "openapi" / "claude-code-api.yaml"


def run_script(
    name: str, *arguments: str | Path, root: Path = ROOT, cwd: Path = ROOT, hash_seed: str = "0"
) -> subprocess.CompletedProcess[str]:
    """Run a script of `root/scripts` and return its exit status and output."""
    return subprocess.run(
        [sys.executable, str(root / "scripts" / name), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def generate(
    *arguments: str | Path, root: Path = ROOT, cwd: Path = ROOT, hash_seed: str = "0"
) -> subprocess.CompletedProcess[str]:
    """Run scripts/generate.py and return its exit status and output."""
    return run_script("generate.py", *arguments, root=root, cwd=cwd, hash_seed=hash_seed)


def generate_here(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Do the same as `generate` within this process, which saves the second that it takes to import the tools."""
    script = import_module("generate")
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        status = script.main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, status, output.getvalue(), errors.getvalue())


def edited(target: Path, *changes: tuple[str, str], source: Path = SPEC) -> Path:
    """Write a copy of `source` in which each first text, which must occur, is replaced by the second."""
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    target.write_text(text, encoding="utf-8")
    return target


def changed_spec(target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Write a copy of the contract after `change` has modified its data."""
    document = json.loads(_contract())
    change(document)
    target.write_text(json.dumps(document), encoding="utf-8")
    return target


@cache
def _contract() -> str:
    return json.dumps(YAML(typ="safe").load(SPEC))


def generate_package(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Generate `claude_code_api` in `directory` from the contract as modified by `change`."""
    spec = changed_spec(directory / "spec.yaml", change)
    generated = generate_here("--spec", spec, "--output", directory / "claude_code_api")
    assert generated.returncode == 0, generated.stderr


def run_with_package(directory: Path, program: str) -> None:
    """Run a program that imports the `claude_code_api` of `directory`, and assert that it succeeds."""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(directory)},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
