"""scripts/generate.py, run as `make generate` and `make check` run it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "generated" / "claude_code_api"
SPEC = ROOT / "openapi" / "claude-code-api.yaml"

pytestmark = [pytest.mark.xdist_group("generation"), pytest.mark.slow]


def generate(
    *arguments: str | Path, root: Path = ROOT, cwd: Path = ROOT, hash_seed: str = "0"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "scripts" / "generate.py"), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def edited(target: Path, *changes: tuple[str, str], source: Path = SPEC) -> Path:
    """A copy of a file with each first text, which occurs in it, replaced by the second."""
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    target.write_text(text, encoding="utf-8")
    return target


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the committed package."""
    return Path(shutil.copytree(COMMITTED, tmp_path / "claude_code_api", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A copy of what the generation consists of, to be spoiled."""
    root = tmp_path / "project"
    for folder in ("scripts", "openapi"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    yield root
    assert not (root / "generated" / "claude_code_api").exists()


def test_output_depends_on_nothing_but_the_contract(tmp_path: Path) -> None:
    here = generate("--output", tmp_path / "here")
    there = generate("--spec", SPEC, "--output", "there", cwd=tmp_path, hash_seed="4711")

    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert tree(tmp_path / "here") == tree(tmp_path / "there") == tree(COMMITTED)
    assert {path.name for path in tmp_path.iterdir()} == {"here", "there"}


def test_check_names_every_difference_and_writes_nothing(copy: Path) -> None:
    edited(copy / "types.py", ("status_code: int", "status_code: str"), source=copy / "types.py")
    (copy / "stale.py").touch()
    (copy / "py.typed").unlink()
    before = tree(copy)

    checked = generate("--check", "--output", copy)

    assert checked.returncode == 1
    assert "-    status_code: str\n+    status_code: int\n" in checked.stdout
    assert "stale.py: would not be generated any more\n" in checked.stdout
    assert "py.typed: missing\n" in checked.stdout
    assert "make generate" in checked.stderr
    assert tree(copy) == before


def test_check_of_the_committed_package_passes() -> None:
    checked = generate("--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("openapi: 3.1.0", "openapi: [3.1.0", "cannot read"),
        ("openapi: 3.1.0", "openapi: 2.0.0", "Failed to parse OpenAPI document"),
        # The generator's own warning, with which it would exit 0.
        ("application/octet-stream:", "image/png:", "Unsupported content_type image/png"),
        ("schemas/TaskUsage\"", "schemas/Gone\"", "#/components/schemas/Gone points to nothing"),
        ("    TaskUsage:\n", "    TaskUsage:\n      x-python-name: usage\n", "x-python-name has no effect at"),
        ("          const: tool_call\n", "          type: string\n", "ToolCallEvent, a member of TaskEvent"),
    ],
)  # fmt: skip
def test_a_failed_run_leaves_what_there_was(copy: Path, tmp_path: Path, old: str, new: str, told: str) -> None:
    before = tree(copy)
    spec = edited(tmp_path / "spec.yaml", (old, new))

    failed = generate("--spec", spec, "--output", copy)

    assert failed.returncode == 2
    assert failed.stderr.startswith("generate: ")
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    assert tree(copy) == before
    assert {path.name for path in tmp_path.iterdir()} == {"claude_code_api", "spec.yaml"}


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    failed = generate("--output", tmp_path)
    assert failed.returncode == 2
    assert "is not replaced" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_another_version_of_a_tool_is_refused(project: Path) -> None:
    pyproject = project / "pyproject.toml"
    edited(pyproject, ('"ruff==', '"ruff==9'), source=pyproject)
    failed = generate(root=project)
    assert failed.returncode == 2
    assert "ruff must be 9" in failed.stderr


def test_a_template_that_has_changed_is_noticed(project: Path) -> None:
    (project / "openapi" / "templates" / "types.py.jinja").write_text("class Unset: ...\n")
    failed = generate(root=project)
    assert failed.returncode == 2
    assert "types.py: found 'status_code: HTTPStatus' 0 times" in failed.stderr


RENAMED = (
    # A plain property, one that is a $ref, and a query parameter.
    (
        "        max_cost:\n          type: [number, \"null\"]\n",
        "        spending-limit:\n          x-python-name: max_cost\n          type: [number, \"null\"]\n",
    ),
    (
        "        status:\n          $ref: \"#/components/schemas/TaskStatus\"\n        description:",
        "        state:\n          x-python-name: status\n          $ref: \"#/components/schemas/TaskStatus\"\n"
        "        description:",
    ),
    ("required: [id, status, result, execution_log,", "required: [id, state, result, execution_log,"),
    (
        "        - name: limit\n          in: query\n          description: Tasks a page; 20 when left out.\n"
        "          schema:\n",
        "        - name: page-size\n          in: query\n          description: Tasks a page; 20 when left out.\n"
        "          schema:\n            x-python-name: limit\n",
    ),
    ("/task/{task_id}/cancel:", "/task/{task}/cancel:"),
    (
        "      parameters:\n        - $ref: \"#/components/parameters/TaskId\"\n      responses:\n        \"200\":\n"
        "          description: The task, ended.",
        "      parameters:\n        - name: task\n          in: path\n          required: true\n          schema:\n"
        "            type: string\n            x-python-name: task_id\n      responses:\n        \"200\":\n"
        "          description: The task, ended.",
    ),
)  # fmt: skip
USE_RENAMED = """
from claude_code_api.api.tasks import cancel_task, list_tasks
from claude_code_api.constraints import CONSTRAINTS
from claude_code_api.models import AgenticTaskResponse, CreateTaskRequest, TaskStatus

request = CreateTaskRequest(description="d", max_cost=2.0)
assert request.to_dict() == {"description": "d", "spending-limit": 2.0}
assert CreateTaskRequest.from_dict(request.to_dict()) == request
assert CONSTRAINTS["CreateTaskRequest"]["max_cost"] == {"exclusiveMinimum": 0}

usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "total_cost": 0.0}
sent = {"id": "t", "state": "running", "result": {}, "execution_log": [], "artifacts": [], "usage": usage,
        "created_at": "2026-11-22T12:00:00Z"}
task = AgenticTaskResponse.from_dict(sent)
assert task.status is TaskStatus.RUNNING
assert task.to_dict() == sent

assert list_tasks._get_kwargs(limit=3)["params"] == {"page-size": 3}
assert cancel_task._get_kwargs(task_id="a b")["url"] == "/task/a%20b/cancel"
"""


def test_x_python_name_keeps_the_python_name_of_a_renamed_field(tmp_path: Path) -> None:
    spec = edited(tmp_path / "spec.yaml", *RENAMED)
    generated = generate("--spec", spec, "--output", tmp_path / "claude_code_api")
    assert generated.returncode == 0, generated.stderr

    used = subprocess.run(
        [sys.executable, "-c", USE_RENAMED],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (used.returncode, used.stderr) == (0, "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("type", "type cannot be a name in the generated code; type_ can"),
        ("description", "description is the name of something else there too"),
    ],
)
def test_an_x_python_name_that_cannot_be_honoured_is_refused(tmp_path: Path, given: str, told: str) -> None:
    (old, new), *_ = RENAMED
    spec = edited(tmp_path / "spec.yaml", (old, new.replace("x-python-name: max_cost", f"x-python-name: {given}")))
    failed = generate("--spec", spec, "--output", tmp_path / "claude_code_api")
    assert failed.returncode == 2
    assert told in failed.stderr
