"""Selection of the rule for a task."""

from __future__ import annotations

from .phrases import first_sentence, normalize
from .rules import count, delegate, document, listing, search, summary
from .tool_calls import Dialogue, OfflineTask

_RULES = (document.match, count.match, listing.match, summary.match, search.match)
"""Tried in this order: later rules accept phrases that have a special meaning for earlier ones."""

_MAX_CHARACTERS = 500
"""Characters. Longer tasks are more than a rule can understand."""


def select_rule(task: OfflineTask) -> Dialogue | None:
    """Return the dialogue of the rule for the task or for its first sentence; None if no rule matches."""
    if len(task.text) <= _MAX_CHARACTERS and (dialogue := _match(task, task.text)):
        return dialogue
    first, rest = first_sentence(task.text[:_MAX_CHARACTERS])
    dialogue = _match(task, first) if rest else None
    return _with_remark(dialogue) if dialogue else None


def _match(task: OfflineTask, text: str) -> Dialogue | None:
    text = normalize(text)
    if dialogue := delegate.match(task, text, select_rule):
        return dialogue
    return next((dialogue for rule in _RULES if (dialogue := rule(task, text))), None)


def _with_remark(dialogue: Dialogue) -> Dialogue:
    response = yield from dialogue
    return f"{response}\nOnly the first sentence of the request was followed; the rest is beyond the rules."
