"""Finds the rule for a task."""

from claude_code_server.offline.moves import Request, Talk
from claude_code_server.offline.rules import count, delegate, document, listing, search, summary
from claude_code_server.offline.wording import first_sentence, normalised

_RULES = (document.match, count.match, listing.match, summary.match, search.match)
"""In this order: the later ones take wordings in which the earlier ones have a meaning of their own."""

_LONGEST = 500
"""Characters. Longer requests say more than a rule can grasp."""


def plan(request: Request) -> Talk | None:
    """What to do about ``request``: all of it, or its first sentence; None if no rule understands it."""
    if len(request.text) <= _LONGEST and (talk := _match(request, request.text)):
        return talk
    first, rest = first_sentence(request.text[:_LONGEST])
    talk = _match(request, first) if rest else None
    return _with_remark(talk) if talk else None


def _match(request: Request, text: str) -> Talk | None:
    text = normalised(text)
    if talk := delegate.match(request, text, plan):
        return talk
    return next((talk for rule in _RULES if (talk := rule(request, text))), None)


def _with_remark(talk: Talk) -> Talk:
    answer = yield from talk
    return f"{answer}\nOnly the first sentence of the request was followed; the rest is beyond the rules."
