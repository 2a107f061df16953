"""Phrases and the tool calls that they lead to."""

import time
from typing import Any

import pytest
from support.offline_agent import request

from claude_code_server.upstream.offline.model import respond

TOOLS = ("Bash", "Read", "Grep", "Glob", "Write")


def first_call(task: str) -> tuple[str, Any]:
    block = respond(request(task, TOOLS))["content"][-1]
    return (block["name"], block["input"]) if block["type"] == "tool_use" else ("", block["text"])


@pytest.mark.parametrize(
    ("task", "command"),
    [
        ("Count Python files in src/.", "find src -type f -name '*.py'"),
        ("count the number of Markdown files in the docs directory, please", "find docs -type f -name '*.md'"),
        ("How many Python files does src/ contain?", "find src -type f -name '*.py'"),
        ("How many files are there?", "find . -type f"),
        ("what is the number of JSON files in 'my dir'", "find 'my dir' -type f -name '*.json'"),
        ("Count C files in src", "find src -type f '(' -name '*.c' -o -name '*.h' ')'"),
        ("Count *.py in src", "find src -type f -name '*.py'"),
        ("Count files ending in .toml", "find . -type f -name '*.toml'"),
        ("count files named conftest.py in tests", "find tests -type f -name conftest.py"),
        ("Count files in .github", "find .github -type f"),
        ("Count files in the current directory", "find . -type f"),
        ("Count files in -delete", "find ./-delete -type f"),
        ("COUNT PYTHON FILES IN Src and report the number", "find Src -type f -name '*.py'"),
        ("Please count\nall shell scripts\nin bin", "find bin -type f '(' -name '*.sh' -o -name '*.bash' ')'"),
        ("Count files in 'two  spaces'", "find 'two  spaces' -type f"),
    ],
)
def test_count(task: str, command: str) -> None:
    assert first_call(task) == ("Bash", {"command": f"{command} | wc -l", "description": "Count files"})


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("Search for TODO in src", {"pattern": "TODO", "path": "src"}),
        ("grep TODO", {"pattern": "TODO"}),
        ("grep -rn TODO src", {"pattern": "TODO", "path": "src"}),
        ('grep "def .*" in src', {"pattern": "def .*", "path": "src"}),
        ('search for the regex "def \\w+" in src', {"pattern": "def \\w+", "path": "src"}),
        ("Search for a.b(c) in src", {"pattern": "a\\.b\\(c\\)", "path": "src"}),
        ("Find 'def main' in *.py", {"pattern": "def main", "glob": "*.py"}),
        ("Search src for 'hello world'", {"pattern": "hello world", "path": "src"}),
        ("look for 'x in y' in docs", {"pattern": "x in y", "path": "docs"}),
        ("Find all occurrences of foo in src/*.py", {"pattern": "foo", "path": "src", "glob": "*.py"}),
        ("Find Python files containing TODO in src", {"pattern": "TODO", "path": "src", "glob": "*.py"}),
        ("Where is parse_config used?", {"pattern": "parse_config"}),
        ("Count todos in src", {"pattern": "TODO", "path": "src"}),
        ("Search for errors in log.txt", {"pattern": "errors", "path": "log.txt"}),
    ],
)
def test_search(task: str, arguments: dict[str, str]) -> None:
    assert first_call(task) == ("Grep", {"output_mode": "content", "-n": True, **arguments})


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("List Markdown files in docs", {"pattern": "**/*.md", "path": "docs"}),
        ("Show me all TypeScript files", {"pattern": "**/*.{ts,tsx}"}),
        ("find files named setup.py", {"pattern": "**/setup.py"}),
        ("What files are in src?", {"pattern": "**/*", "path": "src"}),
        ("ls build", {"pattern": "**/*", "path": "build"}),
        ("list the contents of docs", {"pattern": "**/*", "path": "docs"}),
    ],
)
def test_list(task: str, arguments: dict[str, str]) -> None:
    assert first_call(task) == ("Glob", arguments)


@pytest.mark.parametrize(
    ("task", "path"),
    [
        ("Summarize the file src/app.py", "src/app.py"),
        ("Analyze api.py", "api.py"),
        ("Find bugs in src/x.py", "src/x.py"),
        ("What does src/app.py do?", "src/app.py"),
        ("Give me a summary of 'my dir/a b.py'", "my dir/a b.py"),
        ("Review the code in src/app.py for style", "src/app.py"),
        ("Describe Makefile", "Makefile"),
        ("Count lines in src/app.py", "src/app.py"),
        ("Document src/app.py in docs/app.md", "src/app.py"),
        ("Generate API docs for src/api.py", "src/api.py"),
        ("write docs/x.md about src/app.py", "src/app.py"),
        ("Create documentation for src/app.py and save it to out.md", "src/app.py"),
    ],
)
def test_read(task: str, path: str) -> None:
    assert first_call(task) == ("Read", {"file_path": path})


@pytest.mark.parametrize(
    "task",
    [
        "",
        "Hello",
        "Explain recursion",
        "Count the words in src/a.txt",
        "Count Python files larger than 10 kB",
        "How many Python classes are there in src?",
        "Count Python files in src; rm -rf /",
        "Find the best way to cook",
        "List ideas",
        "Write a poem",
        "Fix bugs in src/app.py",
        "Use an agent to list files",
        "Count files " * 500,
    ],
)
def test_tasks_without_a_rule(task: str) -> None:
    tool, said = first_call(task)
    assert tool == ""
    assert "has no rule for" in said
    assert len(said) < 1000


@pytest.mark.parametrize("words", ["of ", "in ", " ", "count are ", "the ", "<task>", "'", "</task>\n<context>\n"])
@pytest.mark.parametrize("lead", ["search for ", "list ", "count ", "write docs for ", "use "])
def test_no_phrase_takes_long_to_parse(lead: str, words: str) -> None:
    started = time.process_time()
    for length in (450, 100_000):
        first_call((lead + words * length)[:length])
    assert time.process_time() - started < 2
