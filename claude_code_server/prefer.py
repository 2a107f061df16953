"""The ``Prefer`` header of RFC 7240, as far as it concerns waiting. Pure."""

import re
from dataclasses import dataclass

_PREFERENCE = re.compile(
    r"""\s*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)
        (?:\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s,;"]*)))?
        (?:\s*;(?:[^,"]|"(?:[^"\\]|\\.)*")*)?\s*(?:,|$)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Prefer:
    """``wait`` in seconds; None when not asked for, or not in a form that can be honoured."""

    respond_async: bool = False
    wait: int | None = None

    @classmethod
    def parse(cls, header: str | None, max_wait: float) -> "Prefer":
        """What a header asks for. Of a name the first counts, unknown ones do not; ``wait`` is cut at ``max_wait``."""
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
        """What ``Preference-Applied`` says; empty when there was nothing to honour."""
        parts = ["respond-async"] if self.respond_async and asynchronous else []
        return ", ".join(parts if self.wait is None else [*parts, f"wait={self.wait}"])
