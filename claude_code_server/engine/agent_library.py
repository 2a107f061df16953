"""Agents and skills that a server offers: those that come along, and those in the folders that it was told to use.

Of a file in such a folder only the name, description and tools, and the text count: never what would run code or widen
permissions, such as hooks, MCP servers, models and ``allowed-tools``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import attrs

from ..domain.settings import Settings
from ..runtime.files import open_below
from .agents import AGENTS, PLUGIN, PLUGIN_NAME, SKILLS, Agent, agent_definition
from .tools import TOOLS

_MAX_ENTRIES: Final = 200
_MAX_BYTES: Final = 100_000
_MAX_SKILL_FILES: Final = 200
_MAX_SKILL_BYTES: Final = 5_000_000
_MAX_DEPTH: Final = 8
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RESERVED: Final = {"fork"}
"""Names with a meaning of their own in Claude Code."""
_FRONT_MATTER: Final = re.compile(
    r"\A---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*\r?\n?(?P<body>.*)\Z", re.DOTALL | re.MULTILINE
)
_ENTRY: Final = re.compile(r"(?P<key>[A-Za-z_-]+):[ \t]*(?P<value>.*)")


@attrs.frozen
class Skill:
    """A skill: a folder with a file SKILL.md."""

    name: str
    description: str
    root: Path
    """Folder below which no symbolic link is followed."""
    path: str
    """The skill's folder, relative to ``root``."""
    bundled: bool = False

    def copy(self, target: Path) -> None:
        """Copy the skill to a new folder, with nothing in the head of its SKILL.md but name and description."""
        budget = _MAX_SKILL_BYTES
        for name in _files_below(self.root, self.path):
            with open_below(self.root, f"{self.path}/{name}") as file:
                content = file.read(budget + 1)
            budget -= len(content)
            if budget < 0:
                return
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        body = _parse((target / "SKILL.md").read_text(encoding="utf-8"))[1]
        text = f"---\nname: {self.name}\ndescription: {' '.join(self.description.split())}\n---\n{body}"
        (target / "SKILL.md").write_text(text, encoding="utf-8")


class AgentLibrary:
    """Agents and skills by name. Of several with one name, those that come along count first, then the first folder's.

    ``folders`` are like ``.claude``, with ``agents/NAME.md`` and ``skills/NAME/SKILL.md``, and read anew each time.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def agents(self) -> dict[str, Agent]:
        """Return the agents that there are now."""
        found = {name: agent_definition(name) for name in AGENTS}
        for folder in self._folders:
            for file in _names(folder, "agents"):
                if file.endswith(".md") and (text := _read(folder, f"agents/{file}")) is not None:
                    head, body = _parse(text)
                    name = head.get("name") or file.removesuffix(".md")
                    if _is_name(name) and body.strip():
                        found.setdefault(name, Agent(head.get("description", ""), body.strip(), _tools(head)))
        return found

    def skills(self) -> dict[str, Skill]:
        """Return the skills that there are now."""
        found = dict(_bundled_skills())
        for folder in self._folders:
            for name in _names(folder, "skills"):
                if _is_name(name) and (text := _read(folder, f"skills/{name}/SKILL.md")) is not None:
                    description = _parse(text)[0].get("description", "")
                    found.setdefault(name, Skill(name, description, folder, f"skills/{name}"))
        return found

    def write_plugin(self, names: tuple[str, ...], folder: Path) -> Path:
        """Return the plugin with the skills: the one that comes along, or a new one in ``folder``. Raise KeyError."""
        known = self.skills()
        skills = [known[name] for name in names]
        if all(skill.bundled for skill in skills):
            return PLUGIN
        (folder / ".claude-plugin").mkdir(parents=True)
        manifest = f'{{"name": "{PLUGIN_NAME}", "version": "1.0.0"}}'
        (folder / ".claude-plugin" / "plugin.json").write_text(manifest, encoding="utf-8")
        for skill in skills:
            skill.copy(folder / "skills" / skill.name)
        return folder


def _bundled_skills() -> Iterator[tuple[str, Skill]]:
    for name in SKILLS:
        text = (PLUGIN / "skills" / name / "SKILL.md").read_text(encoding="utf-8")
        yield name, Skill(name, _parse(text)[0].get("description", ""), PLUGIN, f"skills/{name}", bundled=True)


def _is_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in _RESERVED


def _names(folder: Path, below: str) -> list[str]:
    """Return the names in a subfolder."""
    try:
        return sorted(path.name for path in (folder / below).iterdir())[:_MAX_ENTRIES]
    except OSError:
        return []


def _read(folder: Path, path: str) -> str | None:
    """Return the text of a file; None for a link, a file that is too large, or what is no text."""
    with suppress(OSError, ValueError), open_below(folder, path) as file:
        content = file.read(_MAX_BYTES + 1)
        return content.decode() if len(content) <= _MAX_BYTES else None
    return None


def _files_below(root: Path, folder: str) -> Iterator[str]:
    """Return the paths, relative to ``folder``, of its files, of SKILL.md first; links are left out."""
    yield "SKILL.md"
    count = 1
    pending = [""]
    while pending:
        prefix = pending.pop()
        with suppress(OSError), os.scandir(root / folder / prefix) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False) and name.count("/") < _MAX_DEPTH:
                    pending.append(f"{name}/")
                elif entry.is_file(follow_symlinks=False) and name != "SKILL.md" and count < _MAX_SKILL_FILES:
                    count += 1
                    yield name


def _parse(text: str) -> tuple[Mapping[str, str], str]:
    """Return the single-line entries of a file's front matter, with lists joined by commas, and its text."""
    found = _FRONT_MATTER.match(text)
    if found is None:
        return {}, text
    head: dict[str, str] = {}
    key = ""
    for line in found["head"].splitlines():
        if entry := _ENTRY.fullmatch(line):
            key = entry["key"]
            value = entry["value"].strip()
            head[key] = "" if value in ("|", ">", "|-", ">-") else value.strip("\"'")
        elif key and line.startswith((" ", "\t", "-")) and line.strip():
            more = line.strip()
            joint, more = (", ", more[2:]) if more.startswith("- ") else (" ", more)
            head[key] = f"{head[key]}{joint}{more}" if head[key] else more
    return head, found["body"]


def _tools(head: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tools that an agent asks for; all if it does not say."""
    if "tools" not in head:
        return TOOLS
    return tuple(name.strip(" []\"'") for name in head["tools"].split(",") if name.strip(" []\"'"))


def library_of(settings: Settings) -> AgentLibrary:
    """Return the library with the folders of the user and of the workspace, in this order."""
    folders = [settings.workspace / ".claude"]
    with suppress(OSError, RuntimeError):
        # The user's own folder may be a link.
        folders.insert(0, (Path.home() / ".claude").resolve())
    return AgentLibrary(*folders)
