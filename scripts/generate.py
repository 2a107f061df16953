"""Generate the client package from the OpenAPI contract, or check that it is up to date."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]

from codegen import package_directory
from codegen.client_generator import write_client
from codegen.constraints import constraints_module
from codegen.contract import Contract
from codegen.defaults import defaults_module
from codegen.errors import GenerationError
from codegen.event_models import event_models_module
from codegen.events import events_module
from codegen.postprocess import postprocess
from codegen.server import server_module
from codegen.tool_versions import check_tool_versions

ROOT = Path(__file__).resolve().parent.parent
SPEC = ROOT / "openapi" / "claude-code-api.yaml"
SETTINGS = ROOT / "openapi" / "generator.yaml"
TEMPLATES = ROOT / "openapi" / "templates"
OUTPUT = ROOT / "generated" / "claude_code_api"
_RUFF = (
    ("check", "--fix-only", "--select", "F,I,UP,RUF100"),
    ("format", "--line-length", "120"),
)
_RUFF_OPTIONS = ("--isolated", "--no-cache", "--quiet", "--target-version", "py311", ".")


def build(spec: Path, package: Path) -> None:
    """Write the whole package to `package`, which must not exist yet. Raises GenerationError."""
    contract = Contract.load(spec)
    contract.check_references()
    client = write_client(contract, package, settings=SETTINGS, templates=TEMPLATES)
    postprocess(package)
    _write(package / "constraints.py", constraints_module(contract, client))
    _write(package / "defaults.py", defaults_module(contract, client))
    _write(package / "event_models.py", event_models_module(contract, client))
    _write(package / "events.py", events_module(contract))
    _write(package / "server.py", server_module(contract))
    _write(package / "py.typed", "")
    _write(package / "openapi.json", _as_json(contract))
    for command, *options in _RUFF:
        _ruff(package, command, *options)
    for path in package.rglob("*.py"):
        _write(path, f"{package_directory.HEADER}\n\n{path.read_text(encoding='utf-8')}")
    _ruff(package, "format", "--line-length", "120", "--check")


def _as_json(contract: Contract) -> str:
    try:
        text = json.dumps(contract.document, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise GenerationError(f"the contract cannot be written as JSON: {error}") from error
    return text + "\n"


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _ruff(package: Path, *arguments: str) -> None:
    command = [find_ruff_bin(), *arguments, *_RUFF_OPTIONS]
    result = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise GenerationError(f"ruff {arguments[0]} failed on the generated code:\n{result.stdout}{result.stderr}")


def run(spec: Path, output: Path, *, check: bool) -> int:
    """Return the exit status: 1 if a check finds a difference, else 0. Raises GenerationError."""
    check_tool_versions(ROOT / "pyproject.toml")
    if check:
        with tempfile.TemporaryDirectory() as work:
            fresh = Path(work, output.name)
            build(spec, fresh)
            differences = list(package_directory.differences(output, fresh))
        if differences:
            print(*differences, sep="\n")
            print(f"{output.name} does not match {spec.name}: run `make generate`", file=sys.stderr)
        return 1 if differences else 0
    package_directory.check_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as work:
        fresh = Path(work, "fresh")
        build(spec, fresh)
        package_directory.replace(output, fresh, backup=Path(work, "backup"))
    return 0


def main(command_line: Sequence[str] | None = None) -> int:
    """Parse the command line, run, and return the exit status: 2 if the code cannot be generated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spec", type=Path, default=SPEC, help="OpenAPI document (YAML)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="directory of the package")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the package is out of date")
    arguments = parser.parse_args(command_line)
    try:
        return run(arguments.spec.resolve(), arguments.output.resolve(), check=arguments.check)
    except GenerationError as error:
        print(f"generate: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
