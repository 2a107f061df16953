"""How requests are worded: politeness, places and file names. Text in, text out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from claude_code_server.offline.kinds import ALL, Kind, kind_named

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
_MOST_SPLITS = 10
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


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look, and at which files there."""

    path: str = "."
    """Relative to the working directory unless it was given as absolute; without a slash at its end."""
    kind: Kind = ALL

    @property
    def shown(self) -> str:
        return "the working directory" if self.path == "." else self.path


def normalised(text: str) -> str:
    """``text`` on one line, without greetings, politeness and full stop."""
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
    """The first sentence or line of ``text``, and what follows it."""
    found = re.search(r"(?<=[.!?])\s+(?=[A-Z])|\s*\n\s*", text.strip())
    return (text.strip()[: found.start()], text.strip()[found.end() :]) if found else (text.strip(), "")


def after_lead(text: str, leads: re.Pattern[str]) -> str | None:
    """What follows the verb at the start of ``text``, or None where it starts otherwise."""
    found = leads.match(text)
    return text[found.end() :].strip() if found else None


def splits(text: str) -> Iterator[tuple[str, str]]:
    """Ways to read ``text`` as "WHAT in WHERE", from the left."""
    position = 0
    for _ in range(_MOST_SPLITS):
        if not (found := _IN.search(text, position)):
            return
        yield text[: found.start()], text[found.end() :]
        position = found.start() + 1


def unquoted(text: str) -> str | None:
    """``text`` without the quotes around it; None if quotes are unbalanced or in its middle."""
    text = text.strip()
    if re.fullmatch(_QUOTED, text):
        return text[1:-1]
    return text if text and not re.search(r"[\"'`]", text) else None


def path_named(phrase: str) -> str | None:
    """The path that ``phrase`` names: "src/", "the src folder", "'my dir'", "this project"."""
    phrase = phrase.strip()
    if _HERE.fullmatch(phrase):
        return "."
    found = _PLACE.fullmatch(phrase)
    return _clean(found["path"]) if found else None


def file_named(phrase: str) -> str | None:
    """Like ``path_named``, but only for what looks like a path rather than a word."""
    found = _PLACE.fullmatch(phrase.strip())
    if not found:
        return None
    raw = found["path"]
    looks_so = raw[0] in "\"'`" or re.search(r"[./]", raw) or _FOLDER_NAMES.fullmatch(raw) or is_file(raw)
    return _clean(raw) if looks_so else None


def folder_named(phrase: str) -> str | None:
    """Like ``file_named``, or the working directory for "this project" and such."""
    return "." if _HERE.fullmatch(phrase.strip()) else file_named(phrase)


def is_file(path: str) -> bool:
    """Whether ``path`` looks like that of a file rather than of a folder."""
    name = path.rpartition("/")[2]
    return "." in name.strip(".") or bool(_FILE_NAMES.fullmatch(name))


def scope_named(phrase: str) -> Scope | None:
    """What ``phrase`` says about where to look: "src", "*.py", "src/*.py", "all Python files in src"."""
    phrase = phrase.strip()
    if _HERE.fullmatch(phrase):
        return Scope()
    if kind := kind_named(phrase):
        return Scope(kind=kind)
    if (path := path_named(phrase)) is not None:
        folder, _, name = path.rpartition("/")
        if "*" not in path:
            return Scope(path)
        folder = folder.removesuffix("**").rstrip("/")
        return None if "*" in folder else Scope(folder or ".", kind_named(name) or Kind(name, (name,)))
    for what, where in splits(phrase):
        if (kind := kind_named(what)) and (path := path_named(where)) is not None:
            return Scope(path, kind)
    return None


def _clean(raw: str) -> str:
    path = raw[1:-1] if raw[0] in "\"'`" else raw.rstrip(",;:")
    path = path.rstrip("/") or ("/" if path.startswith("/") else ".")
    path = path.removeprefix("./") or "."
    # A name that starts with a dash would be taken for an option.
    return f"./{path}" if path.startswith("-") else path
