"""Kinds of files: their names in requests and their globs."""

from __future__ import annotations

import re

import attrs


@attrs.frozen
class FileKind:
    """Files that match any of ``patterns``; all files if there are no patterns."""

    label: str
    patterns: tuple[str, ...] = ()

    def files(self, number: int) -> str:
        """Format a number of files, such as ``3 Python files``."""
        return f"{number} {self.plural if number != 1 else self.singular}"

    @property
    def singular(self) -> str:
        return f"{self.label} file".strip()

    @property
    def plural(self) -> str:
        return f"{self.singular}s"

    @property
    def glob(self) -> str | None:
        """One glob for the file name, or None for all files."""
        names = [pattern.removeprefix("*.") for pattern in self.patterns]
        if len(names) < 2:
            return self.patterns[0] if self.patterns else None
        return "*.{" + ",".join(names) + "}"


ALL = FileKind("")

_TABLE = {
    "python py": ("Python", "py"),
    "markdown md": ("Markdown", "md"),
    "javascript js": ("JavaScript", "js mjs cjs jsx"),
    "typescript ts": ("TypeScript", "ts tsx"),
    "text txt plain-text": ("text", "txt"),
    "json": ("JSON", "json"),
    "yaml yml": ("YAML", "yaml yml"),
    "toml": ("TOML", "toml"),
    "xml": ("XML", "xml"),
    "csv": ("CSV", "csv"),
    "sql": ("SQL", "sql"),
    "html htm": ("HTML", "html htm"),
    "css": ("CSS", "css"),
    "scss sass": ("Sass", "scss sass"),
    "shell bash sh": ("shell", "sh bash"),
    "c": ("C", "c h"),
    "c++ cpp": ("C++", "cpp cc cxx hpp hh"),
    "c# csharp": ("C#", "cs"),
    "rust rs": ("Rust", "rs"),
    "go golang": ("Go", "go"),
    "java": ("Java", "java"),
    "kotlin": ("Kotlin", "kt kts"),
    "swift": ("Swift", "swift"),
    "ruby rb": ("Ruby", "rb"),
    "php": ("PHP", "php"),
    "lua": ("Lua", "lua"),
    "restructuredtext rst": ("reStructuredText", "rst"),
    "notebook jupyter ipynb": ("notebook", "ipynb"),
    "image picture": ("image", "png jpg jpeg gif svg webp"),
    "config configuration": ("configuration", "toml yaml yml json ini cfg"),
    "code source source-code": (
        "code",
        "py js jsx ts tsx c h cpp hpp cs rs go java kt swift rb php sh",
    ),
}

BY_NAME = {
    name.replace("-", " "): FileKind(label, tuple(f"*.{ending}" for ending in endings.split()))
    for names, (label, endings) in _TABLE.items()
    for name in names.split()
}
CODE = BY_NAME["code"]
_ENDINGS = frozenset(pattern[1:] for kind in BY_NAME.values() for pattern in kind.patterns)

_NAMES = "|".join(re.escape(name) for name in sorted(BY_NAME, key=len, reverse=True))
_NOUN = r"(?:files?|scripts?|modules?|documents?|docs?|sources?)"
_OF = r"(?:(?:all|every|each|any|the|of|total|my|our|your|existing|(?:a\s+)?(?:list|number|count)\s+of)\s+)*"
_ENDING = r"\*?\.\w[\w.+-]*"
_NAMED = re.compile(rf"{_OF}(?P<name>{_NAMES})\s+(?:(?:source|code)\s+)?{_NOUN}", re.IGNORECASE)
_ENDED = re.compile(rf"{_OF}(?P<ending>{_ENDING})(?P<noun>\s+{_NOUN})?", re.IGNORECASE)
_PLAIN = re.compile(rf"{_OF}files?", re.IGNORECASE)
_QUALIFIED = re.compile(
    rf"{_OF}files?\s+(?:that\s+)?"
    r"(?:(?P<by_ending>(?:with|having)\s+(?:the\s+)?(?:file\s+)?(?:extension|suffix|ending)|"
    r"(?:of\s+)?(?:the\s+)?(?:type|kind)|end(?:ing)?\s+(?:in|with))|matching|named|called)\s+"
    r"""(?P<quote>["'`]?)(?P<value>[^\s"'`/]+)(?P=quote)""",
    re.IGNORECASE,
)


def parse_kind(phrase: str) -> FileKind | None:
    """Parse a kind of files, such as "all Python files", "*.md", ".txt files" or "files named x.py"."""
    phrase = phrase.strip()
    if found := _NAMED.fullmatch(phrase):
        return BY_NAME[re.sub(r"\s+", " ", found["name"].lower())]
    if found := _ENDED.fullmatch(phrase):
        ending = found["ending"].removeprefix("*")
        # A lone ".github" is a directory; "*.github" and ".github files" are endings.
        if found["noun"] or found["ending"].startswith("*") or ending.lower() in _ENDINGS:
            return FileKind(ending, (f"*{ending}",))
    if _PLAIN.fullmatch(phrase):
        return ALL
    if found := _QUALIFIED.fullmatch(phrase):
        value = found["value"]
        if not found["by_ending"]:
            return FileKind(f"'{value}'", (value,))
        if value.lower() in BY_NAME:
            return BY_NAME[value.lower()]
        ending = "." + value.lstrip("*").lstrip(".")
        return FileKind(ending, (f"*{ending}",)) if re.fullmatch(_ENDING, ending) else None
    return None
