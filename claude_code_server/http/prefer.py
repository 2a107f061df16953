"""Parser of the ``Prefer`` header (RFC 7240) for its preferences about waiting. No I/O."""

from __future__ import annotations

import re
from typing import Final, Self

import attrs

_PREFERENCE: Final = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s,;"]*)))?
        (?:\s*;(?:[^,"]|"(?:[^"\\]|\\.)*")*)?\s*(?:,|$)""",
    re.VERBOSE,
)


@attrs.frozen
class Prefer:
    """Preferences of a request."""

    respond_async: bool = False
    wait: int | None = None
    """Seconds; None if absent or malformed."""

    @classmethod
    def parse(cls, header: str | None, max_wait: float) -> Self:
        """Parse a header. The first of several preferences with the same name counts; ``wait`` is capped."""
        found: dict[str, str] = {}
        position, text = 0, header or ""
        while position < len(text):
            match = _PREFERENCE.match(text, position)
            if match is None:
                comma = text.find(",", position)
                position = len(text) if comma < 0 else comma + 1
                continue
            quoted = match["quoted"]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match["token"] or ""
            found.setdefault(match["name"].lower(), value)
            position = match.end()
        wait = found.get("wait", "")
        seconds = min(int(wait[:9]), int(max_wait)) if wait.isascii() and wait.isdigit() else None
        return cls("respond-async" in found, seconds)

    def applied(self, *, asynchronous: bool = False) -> str:
        """Return the value of ``Preference-Applied``; empty if no preference was applied."""
        parts = ["respond-async"] if self.respond_async and asynchronous else []
        return ", ".join(parts if self.wait is None else [*parts, f"wait={self.wait}"])
