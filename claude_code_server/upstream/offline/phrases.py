"""Parser of phrases in tasks: polite words, places, file names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from .file_kinds import ALL, FileKind, parse_kind

_FLAGS = re.IGNORECASE | re.DOTALL
_BEFORE = re.compile(
    r"(?:(?:please|kindly|hi|hello|hey|ok|now|just|then|and|first)[,!]?\s+|"
    r"(?:can|could|would|will)\s+you\s+(?:please\s+)?|"
    r"i(?:'d|\s+would)?\s+(?:want|like|need)\s+(?:you\s+)?to\s+|"
    r"help\s+me\s+(?:to\s+)?|your\s+task\s+is\s+to\s+|go\s+and\s+)",
    _FLAGS,
)
_AFTER = re.compile(
    r"[,]?\s+(?:please|for\s+me|recursively|thanks|thank\s+you|"
    r"(?:and|including|with)\s+(?:all\s+)?(?:of\s+)?(?:its\s+|the\s+|their\s+)?sub-?(?:directories|folders|dirs)|"
    r"and\s+(?:then\s+)?(?:report|tell|give|show|print|return)\s+(?:me\s+|back\s+)?"
    r"(?:the\s+|a\s+|how\s+many\s*)?(?:number|count|total|results?|list|answer|them|it)?)",
    _FLAGS,
)
_FULL_STOP = re.compile(r"""(?<=[\w"'`/*)\]])[.!?]+$""")
_QUOTED = r"""(?:"[^"]+"|'[^']+'|`[^`]+`)"""
_BARE = r"""[^\s"'`]+"""
_FOLDER = r"(?:folder|directory|dir|path|package|tree)"
_IN = re.compile(
    r"\s+(?:(?:that\s+|which\s+)?(?:are|is|exist|live)\s+)?(?:there\s+)?(?:located\s+|stored\s+|found\s+)?"
    r"(?:in|inside|under|within|below|from|of|at|across|throughout)\s+",
    _FLAGS,
)
_MAX_SPLITS = 10
_HERE = re.compile(
    r"(?:all\s+(?:of\s+)?)?(?:(?:the|this|my|our|your)\s+)?(?:(?:current|working|whole|entire|present|source)\s+)*"
    r"(?:directory|folder|project|repo|repository|workspace|codebase|code\s+base|tree|root|cwd|code|sources?|"
    r"files|everything|here)",
    _FLAGS,
)
_PLACE = re.compile(
    rf"(?:the\s+)?(?:{_FOLDER}\s+|file\s+|module\s+|script\s+|document\s+)?(?P<path>{_QUOTED}|{_BARE})"
    rf"(?:\s+(?:{_FOLDER}|file|module|script|document))?",
    _FLAGS,
)
_FOLDER_NAMES = re.compile(
    r"(?:src|libs?|docs?|tests?|scripts?|examples?|apps?|bin|pkg|cmd|benchmarks?|tools?|server|client)", re.I
)
_FILE_NAMES = re.compile(
    r"(?:makefile|dockerfile|licen[cs]e|readme|changelog|procfile|gemfile|jenkinsfile)", re.IGNORECASE
)


@attrs.frozen
class Scope:
    """Files that a task is about: a path and a kind of files below it."""

    path: str = "."
    """Absolute, or relative to the working directory; without a trailing slash."""
    kind: FileKind = ALL

    @property
    def shown(self) -> str:
        return "the working directory" if self.path == "." else self.path


def normalize(text: str) -> str:
    """Return ``text`` on one line, without greetings, polite words and full stop."""
    text = re.sub(rf"({_QUOTED})|\s+", lambda found: found[1] or " ", text).strip()
    while found := _BEFORE.match(text):
        text = text[found.end() :]
    while True:
        shorter = _FULL_STOP.sub("", text)
        if found := re.search(rf"(?:{_AFTER.pattern})$", shorter, _FLAGS):
            shorter = shorter[: found.start()]
        if shorter == text:
            return text
        text = shorter


def first_sentence(text: str) -> tuple[str, str]:
    """Split ``text`` after its first sentence or line."""
    found = re.search(r"(?<=[.!?])\s+(?=[A-Z])|\s*\n\s*", text.strip())
    return (text.strip()[: found.start()], text.strip()[found.end() :]) if found else (text.strip(), "")


def after_verb(text: str, verbs: re.Pattern[str]) -> str | None:
    """Return the rest of ``text`` after one of ``verbs`` at its start; None if it starts differently."""
    found = verbs.match(text)
    return text[found.end() :].strip() if found else None


def split_at_place(text: str) -> Iterator[tuple[str, str]]:
    """Return the ways to read ``text`` as "WHAT in WHERE", from the left."""
    position = 0
    for _ in range(_MAX_SPLITS):
        if not (found := _IN.search(text, position)):
            return
        yield text[: found.start()], text[found.end() :]
        position = found.start() + 1


def unquote(text: str) -> str | None:
    """Remove the quotes around ``text``; return None if quotes are unbalanced or inside the text."""
    text = text.strip()
    if re.fullmatch(_QUOTED, text):
        return text[1:-1]
    return text if text and not re.search(r"[\"'`]", text) else None


def parse_path(phrase: str) -> str | None:
    """Parse a path: "src/", "the src folder", "'my dir'", "this project"."""
    phrase = phrase.strip()
    if _HERE.fullmatch(phrase):
        return "."
    found = _PLACE.fullmatch(phrase)
    return _clean(found["path"]) if found else None


def parse_file_path(phrase: str) -> str | None:
    """Parse a path like ``parse_path``, but reject words that do not look like paths."""
    found = _PLACE.fullmatch(phrase.strip())
    if not found:
        return None
    raw = found["path"]
    looks_so = raw[0] in "\"'`" or re.search(r"[./]", raw) or _FOLDER_NAMES.fullmatch(raw) or is_file(raw)
    return _clean(raw) if looks_so else None


def parse_directory(phrase: str) -> str | None:
    """Parse a path like ``parse_file_path``; "this project" and the like are the working directory."""
    return "." if _HERE.fullmatch(phrase.strip()) else parse_file_path(phrase)


def is_file(path: str) -> bool:
    """Return whether ``path`` looks like a file rather than a directory."""
    name = path.rpartition("/")[2]
    return "." in name.strip(".") or bool(_FILE_NAMES.fullmatch(name))


def parse_scope(phrase: str) -> Scope | None:
    """Parse a scope: "src", "*.py", "src/*.py", "all Python files in src"."""
    phrase = phrase.strip()
    if _HERE.fullmatch(phrase):
        return Scope()
    if kind := parse_kind(phrase):
        return Scope(kind=kind)
    if (path := parse_path(phrase)) is not None:
        folder, _, name = path.rpartition("/")
        if "*" not in path:
            return Scope(path)
        folder = folder.removesuffix("**").rstrip("/")
        return None if "*" in folder else Scope(folder or ".", parse_kind(name) or FileKind(name, (name,)))
    for what, where in split_at_place(phrase):
        if (kind := parse_kind(what)) and (path := parse_path(where)) is not None:
            return Scope(path, kind)
    return None


def _clean(raw: str) -> str:
    path = raw[1:-1] if raw[0] in "\"'`" else raw.rstrip(",;:")
    path = path.rstrip("/") or ("/" if path.startswith("/") else ".")
    path = path.removeprefix("./") or "."
    # Commands would read a name that starts with a dash as an option.
    return f"./{path}" if path.startswith("-") else path
