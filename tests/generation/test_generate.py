"""scripts/generate.py and scripts/check_spec.py: run as make runs them, or in this process where that is the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generation.generator import COMMITTED, ROOT, SPEC, changed_spec, edited, generate, generate_here, run_script

pytestmark = [pytest.mark.xdist_group("generation"), pytest.mark.slow]


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the committed package."""
    return Path(shutil.copytree(COMMITTED, tmp_path / "claude_code_api", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A copy of the generator's sources, in which every generation must fail."""
    root = tmp_path / "project"
    for directory in ("scripts", "openapi"):
        shutil.copytree(ROOT / directory, root / directory)
    shutil.copy(ROOT / "pyproject.toml", root)
    yield root
    assert not (root / "generated" / "claude_code_api").exists()


def test_output_depends_only_on_the_contract(tmp_path: Path) -> None:
    here = generate_here("--output", tmp_path / "here")
    there = generate("--spec", SPEC, "--output", "there", cwd=tmp_path, hash_seed="4711")

    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert files(tmp_path / "here") == files(tmp_path / "there") == files(COMMITTED)
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there"}


def test_check_reports_every_difference_and_writes_nothing(package: Path) -> None:
    edited(package / "types.py", ("status_code: int", "status_code: str"), source=package / "types.py")
    (package / "stale.py").touch()
    (package / "py.typed").unlink()
    before = files(package)

    checked = generate_here("--check", "--output", package)

    assert checked.returncode == 1
    assert "-    status_code: str\n+    status_code: int\n" in checked.stdout
    assert "stale.py: no longer generated\n" in checked.stdout
    assert "py.typed: missing\n" in checked.stdout
    assert "make generate" in checked.stderr
    assert files(package) == before


def test_check_of_the_committed_package_passes() -> None:
    checked = generate_here("--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("openapi: 3.1.0", "openapi: [3.1.0", "cannot read"),
        ("openapi: 3.1.0", "openapi: 2.0.0", "Failed to parse OpenAPI document"),
        # A warning, with which openapi-python-client alone exits with 0.
        ("application/octet-stream:", "image/png:", "Unsupported content_type image/png"),
        ("schemas/TaskUsage\"", "schemas/Gone\"", "#/components/schemas/Gone points to nothing"),
        ("    TaskUsage:\n", "    TaskUsage:\n      x-python-name: usage\n", "x-python-name has no effect at"),
        ("          const: tool_call\n", "", "ToolCallEvent, a member of TaskEvent"),
        (
            "          const: tool_call\n",
            "          const: thinking\n",
            "ThinkingEvent and ToolCallEvent, members of TaskEvent, have the same type",
        ),
        ("x-default: 300\n", "x-default: soon\n", "x-default of CreateTaskRequest.timeout does not match its schema"),
        ("x-default: month\n", "x-default: year\n", "x-default of get_usage.period does not match its schema"),
        ("    TaskUsage:\n", "    TaskUsage:\n      x-default: {}\n", "x-default has no effect at"),
    ],
)  # fmt: skip
def test_failed_run_leaves_the_package_unchanged(
    package: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    before = files(package)
    spec = edited(tmp_path / "spec.yaml", (old, new))

    failed = generate_here("--spec", spec, "--output", package)

    assert failed.returncode == 2
    assert failed.stderr.startswith("generate: ")
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
    assert files(package) == before
    assert {path.name for path in tmp_path.iterdir()} == {"claude_code_api", "spec.yaml"}


def test_directory_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    failed = generate_here("--output", tmp_path)
    assert failed.returncode == 2
    assert "is not replaced" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_tool_of_another_version_is_rejected(project: Path) -> None:
    pyproject = project / "pyproject.toml"
    edited(pyproject, ('"ruff==', '"ruff==9'), source=pyproject)
    failed = generate(root=project)
    assert failed.returncode == 2
    assert "ruff must be 9" in failed.stderr


def test_changed_template_is_detected(project: Path) -> None:
    (project / "openapi" / "templates" / "types.py.jinja").write_text("class Unset: ...\n")
    failed = generate(root=project)
    assert failed.returncode == 2
    assert "types.py: found 'status_code: HTTPStatus' 0 times" in failed.stderr


def test_check_spec_reports_every_problem(project: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["components"]["schemas"]["CreateTaskRequest"]["properties"]["max_cost"]["x-default"] = 2.0
        [limit] = [item for item in document["paths"]["/task"]["get"]["parameters"] if item["name"] == "limit"]
        del limit["schema"]["x-default"]
        del document["info"]["title"]

    changed_spec(project / "openapi" / "claude-code-api.yaml", change)
    checked = run_script("check_spec.py", root=project)
    assert (checked.returncode, checked.stderr) == (1, "")
    # Validators of JSON Schema, of which that in Rust is taken where it is installed, quote names in different ways.
    assert checked.stdout.replace('"', "'").splitlines() == [
        "#/info: 'title' is a required property",
        "CreateTaskRequest.max_cost: the description must say: Defaults to `2.0`.",
        "list_tasks.limit: the description states a default, but the schema has no x-default",
    ]
