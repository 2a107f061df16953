"""Test the built wheel as users get it: installed into a new environment, outside this repository."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

PACKAGES = {"claude_code_api", "claude_code_client", "claude_code_common", "claude_code_server"}
FILES = {
    *(f"{package}/py.typed" for package in PACKAGES),
    "claude_code_api/openapi.json",
    "claude_code_api/models/create_task_request.py",
    "claude_code_api/api/tasks/create_task.py",
}
_CLIENT = """
import importlib.util, json, importlib.resources
import claude_code_client
from claude_code_api.api.tasks import create_task
from claude_code_api.models import CreateTaskRequest
for name in claude_code_client.__all__:
    getattr(claude_code_client, name)
json.loads((importlib.resources.files("claude_code_api") / "openapi.json").read_bytes())
for name in ("tests", "scripts", "codegen", "starlette", "claude_agent_sdk"):
    assert importlib.util.find_spec(name) is None, name
"""
_SERVER = """
import pkgutil, importlib
import claude_code_server
for module in pkgutil.walk_packages(claude_code_server.__path__, "claude_code_server."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


def check_content(wheel: Path) -> None:
    """Exit with an error if the wheel lacks a required file or holds another package."""
    names = set(zipfile.ZipFile(wheel).namelist())
    if missing := FILES - names:
        sys.exit(f"{wheel.name} lacks {', '.join(sorted(missing))}")
    roots = {name.split("/")[0] for name in names}
    if surplus := {root for root in roots - PACKAGES if not root.endswith(".dist-info")}:
        sys.exit(f"{wheel.name} holds unexpected packages: {', '.join(sorted(surplus))}")


def check_installed(wheel: Path, extra: str, *programs: list[str]) -> None:
    """Install the wheel into a new environment and run `programs`, commands of that environment."""
    with tempfile.TemporaryDirectory() as work:
        venv.create(Path(work, "venv"), with_pip=True)
        install = ["python", "-m", "pip", "install", "-qq", f"{wheel}{extra}"]
        print(f"== {wheel.name}{extra}", flush=True)
        for program, *arguments in (install, *programs):
            command = [str(Path(work, "venv", "bin", program)), *arguments]
            result = subprocess.run(command, check=False, cwd=work, stdout=subprocess.DEVNULL, timeout=600)
            if result.returncode != 0:
                sys.exit(f"{wheel.name}{extra}: {' '.join(command)} failed with exit status {result.returncode}")


def main() -> int:
    """Check the wheel in the directory given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="directory with exactly one wheel")
    (wheel,) = parser.parse_args().directory.resolve().glob("*.whl")
    check_content(wheel)
    check_installed(wheel, "", ["python", "-c", _CLIENT])
    check_installed(wheel, "[server]", ["python", "-c", _SERVER], ["claude-code-client", "--help"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
