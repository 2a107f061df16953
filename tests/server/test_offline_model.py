"""The offline model, driven step by step with tools that really run."""

import subprocess
from pathlib import Path

import pytest
from support.offline_agent import Run, execute, play

FILE_TOOLS = ("Read", "Grep", "Glob")
NOTE = "not a language model"
APP = '''"""Serves things.

More about it.
"""

import os


def main(argv: list[str], *, port: int = 80) -> int:
    """Start it.

    At length.
    """
    # TODO: stop it
    return 0


async def _hidden() -> None: ...


class Server(dict[str, int]):
    """Holds state."""

    def close(self) -> None:
        """Let go."""

    def _inner(self) -> None: ...
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path, text in {
        "src/app.py": APP,
        "src/pkg/util.py": "x = 1  # FIXME: later\n",
        "src/.hidden.py": "y = 1\n",
        "src/notes.txt": "a(b) here\nabb there\n",
        "docs/guide.md": "# Guide\n\n```\n# not a heading\n```\n\n## Use ##\n\nText.\n",
        "my dir/a b.py": "def spaced():\n    return 1\n",
        "broken.py": "def f(:\n",
        "empty.txt": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def find(folder: Path, *words: str) -> int:
    found = subprocess.run(["find", *words, "-type", "f", "-name", "*.py"], cwd=folder, capture_output=True)
    return found.stdout.count(b"\n")


def command(run: Run) -> str:
    return str(run.calls[0]["input"]["command"])


def test_the_count_equals_that_of_find_and_changes_with_the_files(folder: Path) -> None:
    run = play(folder, "Count Python files in src/", ["Bash"])
    assert command(run) == "find src -type f -name '*.py' | wc -l"
    assert run.said == ["I will count the Python files in src with find."]
    assert find(folder, "src") == 3
    assert run.reply.startswith("Found 3 Python files in src.")
    assert NOTE in run.reply
    (folder / "src" / "new.py").touch()
    assert play(folder, "Count Python files in src/", ["Bash"]).reply.startswith("Found 4 Python files in src.")


def test_the_count_comes_from_the_tool_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.offline_agent.execute", lambda *_: {"content": "4711", "is_error": False})
    assert "Found 4711 files" in play(folder, "Count files", ["Bash"]).reply


def test_counting_with_glob(folder: Path) -> None:
    run = play(folder, "How many .py files are there in src?", ["Glob"])
    assert run.calls[0]["input"] == {"pattern": "**/*.py", "path": "src"}
    assert run.reply.startswith("Found 3 .py files in src, going by what Glob listed.")
    for number in range(120):
        (folder / "docs" / f"{number}.rst").touch()
    assert "Found 120 .rst files" in play(folder, "Count .rst files", ["Glob"]).reply


@pytest.mark.parametrize("tool", ["Bash", "Glob"])
def test_a_missing_directory_does_not_count_as_empty(folder: Path, tool: str) -> None:
    reply = play(folder, "Count Python files in nowhere", [tool]).reply
    assert reply.startswith("Nothing could be counted in nowhere: ")
    assert "Found" not in reply
    assert "no such file" in reply.lower() or "does not exist" in reply


@pytest.mark.parametrize(
    "path", ["src; touch pwned", "$(touch pwned)", "`touch pwned`", "a'; touch pwned; '", "-delete"]
)
def test_no_part_of_a_task_runs_as_a_command(folder: Path, path: str) -> None:
    before = sorted(folder.rglob("*"))
    quote = next(q for q in "\"'`" if q not in path)
    where = f"{quote}{path}{quote}"
    for task in (
        f"Count Python files in {where}",
        f"List files in {where}",
        f"Search for {where} in {where}",
        f"Search for 'TODO' in {where}",
        f"Summarise {where}",
        f"Document {where}",
    ):
        play(folder, task, ["Bash"])
        play(folder, task, ["Bash", "Write", *FILE_TOOLS])
    (folder / "docs" / "touch pwned.md").unlink(missing_ok=True)
    assert sorted(folder.rglob("*")) == before


def test_a_path_with_spaces_in_quotes(folder: Path) -> None:
    assert "Found 1 Python file in my dir." in play(folder, "Count Python files in 'my dir'", ["Bash"]).reply


@pytest.mark.parametrize("tool", ["Grep", "Bash"])
def test_search(folder: Path, tool: str) -> None:
    run = play(folder, "Search for TODO in src", [tool])
    assert run.tools == [tool]
    assert run.reply.startswith("Found 1 line with 'TODO' in src:\n- src/app.py:14:")
    assert "Found no line with 'zzz'" in play(folder, "Search for zzz in docs", [tool]).reply
    assert "Found 1 line with 'a(b)'" in play(folder, "Search for a(b) in src", [tool]).reply
    both = play(folder, "Find TODOs and FIXMEs in the Python files in src", [tool]).reply
    assert "Found 2 lines" in both
    assert "2 files" in both
    assert "Found 1 line" in play(folder, "Find 'def main' in *.py", [tool]).reply
    missing = play(folder, "Search for TODO in nowhere", [tool]).reply
    assert missing.startswith("Nothing could be searched in nowhere")


def test_a_truncated_search_is_reported(folder: Path) -> None:
    (folder / "many.txt").write_text("hit\n" * 300)
    reply = play(folder, "Search for hit in many.txt", ["Grep"]).reply
    assert "Found at least 250 lines" in reply
    assert "… and 230 more" in reply


def test_search_in_one_file_by_reading(folder: Path) -> None:
    run = play(folder, "Find TODOs in src/app.py", ["Read"])
    assert run.tools == ["Read"]
    assert "- 14:    # TODO: stop it" in run.reply


@pytest.mark.parametrize("tool", ["Glob", "Bash"])
def test_list(folder: Path, tool: str) -> None:
    reply = play(folder, "List Markdown files in docs", [tool]).reply
    assert reply.startswith("Found 1 Markdown file in docs:\n- docs/guide.md")
    assert "Found no Rust files" in play(folder, "List Rust files", [tool]).reply
    assert "Nothing could be listed in nowhere" in play(folder, "List files in nowhere", [tool]).reply


@pytest.mark.parametrize("tool", ["Read", "Bash"])
def test_summary(folder: Path, tool: str) -> None:
    reply = play(folder, "Summarise src/app.py", [tool]).reply
    assert f"src/app.py: Python, {APP.count(chr(10))} lines." in reply
    assert "It says of itself: Serves things." in reply
    assert "Functions (2): main, _hidden." in reply
    assert "Classes (1): Server." in reply
    assert "- 14: # TODO: stop it" in reply
    assert "Headings (2): Guide, Use." in play(folder, "Analyze docs/guide.md", [tool]).reply
    assert "empty.txt: text, 0 lines." in play(folder, "Describe empty.txt", [tool]).reply
    assert "does not parse as Python (line 1:" in play(folder, "Find bugs in broken.py", [tool]).reply
    gone = play(folder, "Analyze api.py", [tool]).reply
    assert gone.startswith("api.py could not be read: ")
    assert "Functions" not in gone


def test_overview(folder: Path) -> None:
    run = play(folder, "Analyze code for security issues", ["Read", "Grep", "Glob"])
    assert run.tools == ["Glob", "Grep"]
    assert "Found 5 code files in the working directory (5 Python)." in run.reply
    assert "Lines with TODO or FIXME: 2." in run.reply
    assert 'Judging "security issues" needs a language model' in run.reply
    assert play(folder, "Analyze code for security issues", ["Read", "Grep"]).tools == ["Grep"]


@pytest.mark.parametrize(
    "task",
    ["Analyze code", "Analyze", "Test", "Count files", "Find bugs in src/app.py", "Analyze code for security issues"],
)
@pytest.mark.parametrize("tools", [[], ["Read"], ["Grep"], ["Glob"], ["Bash"], ["Bash", "Write", *FILE_TOOLS]])
def test_every_set_of_tools_leads_to_a_final_text(folder: Path, task: str, tools: list[str]) -> None:
    reply = play(folder, task, tools).reply
    assert NOTE in reply
    if not tools:
        assert "granted: none. Nothing was done." in reply


def test_document(folder: Path) -> None:
    run = play(folder, "Write documentation for src/app.py", ["Read", "Write"])
    assert run.tools == ["Read", "Write"]
    assert run.calls[1]["input"]["file_path"] == "docs/app.md"
    written = (folder / "docs" / "app.md").read_text()
    for expected in (
        "# app.py\n\nServes things.\n",
        "### `main(argv: list[str], *, port: int=80) -> int`\n\nStart it.\n",
        "### `Server(dict[str, int])`\n\nHolds state.\n\n- `close(self) -> None`: Let go.\n",
        "Not listed: 1 whose name starts with an underscore.",
        "- line 14: `# TODO: stop it`",
        NOTE,
    ):
        assert expected in written
    assert "_hidden(" not in written
    assert "_inner" not in written
    assert run.reply.startswith("Wrote docs/app.md, about src/app.py: 1 function, 1 class.")
    again = play(folder, "Write documentation for src/app.py", ["Read", "Write"])
    assert again.reply.startswith("Replaced docs/app.md")


def test_document_elsewhere_and_of_other_files(folder: Path) -> None:
    play(folder, "Document 'my dir/a b.py' in \"out dir/x y.md\"", ["Bash", "Write"])
    assert "### `spaced()`" in (folder / "out dir" / "x y.md").read_text()
    play(folder, "Document docs/guide.md", ["Read", "Write"])
    assert "- Guide\n  - Use\n" in (folder / "docs" / "guide-outline.md").read_text()
    same = play(folder, "Document docs/guide.md in docs/guide.md", ["Read", "Write"])
    assert same.tools == []
    assert "Nothing was written" in same.reply
    assert "does not parse as Python" in play(folder, "Document broken.py", ["Read"]).reply


def test_document_without_write_or_without_the_file(folder: Path) -> None:
    run = play(folder, "Generate API docs for src/app.py", ["Read"])
    assert run.reply.startswith("Write was not granted, so docs/app.md was not written.")
    assert "### `main(" in run.reply
    missing = play(folder, "Generate API docs for src/api.py", ["Read", "Write"])
    assert missing.tools == ["Read"]
    assert missing.reply.startswith("src/api.py could not be read, so nothing was written: File does not exist.")


def test_a_failed_tool_call_is_reported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "<tool_use_error>Error: No such tool available: Write.</tool_use_error>"

    def refuse_write(where: Path, name: str, arguments: dict[str, str]) -> dict[str, object]:
        return {"content": refusal, "is_error": True} if name == "Write" else execute(where, name, arguments)

    monkeypatch.setattr("support.offline_agent.execute", refuse_write)
    reply = play(folder, "Document src/app.py", ["Read", "Write"]).reply
    assert reply.startswith("docs/app.md could not be written: Error: No such tool available: Write.")
