"""Rules that choose an upstream by the name of the model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from typing import Final, Self

import attrs

ANY_MODEL: Final = "*"
_PATTERN: Final = re.compile(r"[A-Za-z0-9*?\[\]!_.:/@-]+", re.ASCII)


@attrs.frozen
class UpstreamRule:
    """Upstream of the models whose alias or ID matches a pattern."""

    pattern: str
    upstream: str
    """``anthropic``, ``offline`` or the URL of a Messages endpoint."""
    key: str | None = attrs.field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``PATTERN=UPSTREAM``, or an upstream alone, which is that of any model. Raise ValueError."""
        pattern, equals, upstream = text.partition("=")
        if not equals or "://" in pattern:
            return cls(ANY_MODEL, text)
        return cls(_checked(pattern), upstream)

    def matches(self, names: Iterable[str]) -> bool:
        """Return whether the pattern matches one of a model's names."""
        return any(fnmatchcase(name, self.pattern) for name in names)


def parse_rules(upstreams: Iterable[str], keys: Iterable[str]) -> tuple[UpstreamRule, ...]:
    """Return the rules of a server in their order, those for any model last. Raise ValueError, without a key in it.

    ``upstreams`` are texts that ``UpstreamRule.parse`` accepts, ``keys`` texts such as ``PATTERN=KEY``.
    """
    rules = {}
    for rule in map(UpstreamRule.parse, upstreams):
        if rule.pattern in rules:
            raise ValueError(f"there are two upstreams for the models {rule.pattern}")
        rules[rule.pattern] = rule
    for text in keys:
        pattern, equals, key = text.partition("=")
        if not equals or not key:
            raise ValueError("the key of an upstream has the form PATTERN=KEY")
        if _checked(pattern) not in rules:
            raise ValueError(f"there is a key, but no upstream, for the models {pattern}")
        rules[pattern] = attrs.evolve(rules[pattern], key=key)
    return tuple(sorted(rules.values(), key=lambda rule: rule.pattern == ANY_MODEL))


def find_rule(rules: Collection[UpstreamRule], names: Collection[str]) -> UpstreamRule | None:
    """Return the first rule that matches one of a model's names."""
    return next((rule for rule in rules if rule.matches(names)), None)


def _checked(pattern: str) -> str:
    if _PATTERN.fullmatch(pattern) is None:
        raise ValueError("the part before = must be the name of a model, or a pattern such as local-*")
    return pattern
