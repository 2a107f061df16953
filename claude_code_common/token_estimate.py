"""Estimate of the tokens in a text, without the model's tokenizer: rather too high than too low. No I/O."""

from __future__ import annotations

import re
from typing import Final

_CHUNK: Final = 1 << 14
"""Characters counted at once: regular expressions hold the interpreter's lock, and others must run in between."""
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/]{24,}")
"""Long runs that may be base64, hexadecimal or random: tokenizers know few pieces of them."""
_CONSONANT: Final = "[b-df-hj-np-tv-xz]"
_PIECES: Final = re.compile(
    rf"[A-Z]?{_CONSONANT}{{0,3}}[aeiouy]{{1,2}}{_CONSONANT}?"  # a syllable
    rf"|[A-Z]?{_CONSONANT}{{1,2}}"
    r"|[A-Z]{1,2}"
    r"|\n+| {2,16}|\t{1,4}|\r"  # a single space belongs to the word after it
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f!-@\[-`{-\x7f]"  # digits and punctuation
)
_WEIGHTS: Final = (
    (re.compile("[\x80-\u07ff]"), 1.4),
    (re.compile("[\u0800-\uffff]"), 2.2),
    (re.compile("[\U00010000-\U0010ffff]"), 3.0),
)
"""Tokens of a character with two, three and four bytes in UTF-8. Common ones have fewer."""


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has.

    The estimate for prose and code is about 1.4 times the count of the tokenizers that are public, because those of
    newer models split text more finely. It is not below nine tenths of their counts for base64, hexadecimal digits and
    rare characters either.
    """
    return sum(_estimate(text[start : start + _CHUNK]) for start in range(0, len(text), _CHUNK))


def _estimate(chunk: str) -> int:
    opaque = 0

    def remove(found: re.Match[str]) -> str:
        nonlocal opaque
        run = found[0]
        if not _is_opaque(run):
            return run
        opaque += len(run)
        return " "

    rest = _OPAQUE.sub(remove, chunk)
    tokens = opaque + len(_PIECES.findall(rest))
    if not rest.isascii():
        tokens += sum(int(len(kind.findall(rest)) * weight) for kind, weight in _WEIGHTS)
    return max(tokens, int(bool(chunk)))


def _is_opaque(run: str) -> bool:
    """Return False for a path, whose words are separated by slashes."""
    return "/" not in run or any(character.isdigit() for character in run) or "+" in run
