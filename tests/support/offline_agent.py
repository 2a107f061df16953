"""Agent loop against the offline model in place of Claude Code: keeps the messages, executes the tool calls.

Requests and tool results have the shapes that the Claude Code CLI 2.1.330 sends.
"""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from claude_code_server.upstream.offline.model import respond

REMINDER = "<system-reminder>\nAttribution: <task>not this</task>\n</system-reminder>\n"
PLACEHOLDER = {"name": "DeferredToolPlaceholder", "input_schema": {"type": "object", "properties": {}}}


@dataclass
class Run:
    """Transcript of one task."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    responses: list[dict[str, Any]] = field(default_factory=list)
    reply: str = ""

    @property
    def tools(self) -> list[str]:
        return [call["name"] for call in self.calls]


def request(task: str, tools: Sequence[str], **more: Any) -> dict[str, Any]:
    """Return the first request of a task, as Claude Code sends it."""
    return {
        "model": "claude-haiku-5-5",
        "max_tokens": 128000,
        "stream": True,
        "system": [{"type": "text", "text": "You are a Claude agent.", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in tools]
        + ([PLACEHOLDER] if tools else []),
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": REMINDER},
                    {"type": "text", "text": f"<task>\n{task}\n</task>"},
                ],
            },
            {"role": "system", "content": "# Environment\n - Primary working directory: /somewhere"},
        ],
        **more,
    }


def play(folder: Path, task: str, tools: Sequence[str]) -> Run:
    """Run ``task`` in ``folder`` with at most ten calls."""
    body = request(task, tools)
    run = Run()
    for _ in range(10):
        response = respond(body)
        run.responses.append(response)
        assert response["usage"]["input_tokens"] > 0
        assert response["usage"]["output_tokens"] > 0
        if response["stop_reason"] != "tool_use":
            assert response["stop_reason"] == "end_turn"
            run.reply = "".join(block["text"] for block in response["content"])
            return run
        text, call = response["content"]
        assert call["name"] in tools, "a tool that was not allowed"
        run.said.append(text["text"])
        run.calls.append(call)
        result = execute(folder, call["name"], call["input"])
        run.results.append(str(result["content"]))
        body["messages"] += [
            {"role": "assistant", "content": response["content"]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], **result}]},
            {"role": "system", "content": "<total_tokens>14999990 tokens left</total_tokens>"},
        ]
    raise AssertionError(f"no end after ten calls: {run.tools}")


def execute(folder: Path, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Execute a tool as Claude Code does; return ``content`` and, after an error, ``is_error``."""
    try:
        return {"content": _TOOLS[name](folder, arguments)}
    except OSError as error:
        return {"content": str(error), "is_error": True}


def _bash(folder: Path, arguments: dict[str, Any]) -> str:
    done = subprocess.run(
        ["bash", "-c", arguments["command"]],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=10,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    no_match = done.returncode == 1 and arguments["command"].startswith("grep")
    if done.returncode and not no_match:
        raise OSError(f"Exit code {done.returncode}\n{done.stdout.strip()}")
    return done.stdout.rstrip() or "(Bash completed with no output)"


def _read(folder: Path, arguments: dict[str, Any]) -> str:
    path = folder / arguments["file_path"]
    if path.is_dir():
        raise OSError(f"EISDIR: illegal operation on a directory, read '{path}'")
    if not path.exists():
        raise OSError(f"File does not exist. Note: your current working directory is {folder}.")
    text = path.read_text()
    if not text:
        return "<system-reminder>Warning: the file exists but the contents are empty.</system-reminder>"
    return "\n".join(f"{number}\t{line}" for number, line in enumerate(text.split("\n"), 1))


def _write(folder: Path, arguments: dict[str, Any]) -> str:
    path = folder / arguments["file_path"]
    known = path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(arguments["content"])
    shown = arguments["file_path"]
    return f"The file {shown} has been updated successfully." if known else f"File created successfully at: {shown}"


def _files(folder: Path, pattern: str) -> list[Path]:
    name = pattern.removeprefix("**/")
    names = [name]
    if braces := re.fullmatch(r"\*\.\{(.*)\}", name):
        names = [f"*.{ending}" for ending in braces[1].split(",")]
    return sorted({path for one in names for path in folder.rglob(one) if path.is_file()})


def _glob(folder: Path, arguments: dict[str, Any]) -> str:
    root = folder / arguments.get("path", ".")
    if not root.exists():
        raise OSError(f"Directory does not exist: {arguments['path']}.")
    if not root.is_dir():
        raise OSError(f"Path is not a directory: {arguments['path']}")
    found = [str(path.relative_to(folder)) for path in _files(root, arguments["pattern"])]
    if len(found) > 100:
        left = f"{len(found) - 100} more are not listed. Narrow the pattern or path to see the rest.)"
        found = [*found[:100], f"(Showing 100 of {len(found)} matching files; {left}"]
    return "\n".join(found) or "No files found"


def _grep(folder: Path, arguments: dict[str, Any]) -> str:
    assert arguments["output_mode"] == "content"
    root = folder / arguments.get("path", ".")
    if not root.exists():
        raise OSError(f"Path does not exist: {arguments['path']}.")
    alone = root.is_file()
    hits = [
        f"{'' if alone else f'{path.relative_to(folder)}:'}{number}:{line}"
        for path in ([root] if alone else _files(root, arguments.get("glob", "*")))
        for number, line in enumerate(path.read_text().split("\n"), 1)
        if re.search(arguments["pattern"], line)
    ]
    if len(hits) > 250:
        hits = [*hits[:250], "", "[Showing results with pagination = limit: 250]"]
    return "\n".join(hits) or "No matches found"


_TOOLS = {"Bash": _bash, "Read": _read, "Write": _write, "Glob": _glob, "Grep": _grep}
