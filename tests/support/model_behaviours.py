"""Random behaviours of a model, reproducible by their seed, and the bill of the endpoint that shows them.

Each behaviour is one task: what the model replies turn by turn, and what the task may use.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from support.servers.messages_endpoint import (
    Cut,
    Disconnect,
    ErrorEvent,
    Failure,
    Hang,
    OddUsage,
    Reply,
    Whole,
    message,
    thinking,
    tool,
)

STALLED = 4
"""Timeout in seconds of tasks whose model stalls or fails without end."""
_MARK = re.compile(r"(main|agent)-(\d+)-")
_HUGE = 1_500_000
"""Characters."""


@dataclass(frozen=True)
class Turn:
    """One turn of the model."""

    name: str
    reply: Reply
    benign: bool = True
    """True if the task goes on as if nothing had happened."""
    lasting: bool = True
    """True if repeated requests get the same reply; otherwise they get a short text."""


@dataclass(frozen=True)
class Behaviour:
    """A task and its model."""

    number: int
    turns: tuple[Turn, ...]
    arguments: Mapping[str, Any]
    """Arguments of ``execute_task``."""

    @property
    def name(self) -> str:
        return " → ".join(turn.name for turn in self.turns)

    @property
    def benign(self) -> bool:
        """True if the task has to complete."""
        return all(turn.benign for turn in self.turns)


Make = Callable[[random.Random, int], Turn]


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


_ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "x" * 200_000,
    "\ud800",
    "\u2028\u0085\0\x1b[31m",
    [],
    {},
    {"": {"a": [None, {"b": float("nan")}]}},
    _nested(900),
)
_ODD_TEXTS = (
    "",
    " ",
    ".",
    "\u2028\u0085\x1e",
    "data: forged\n\nevent: result\ndata: {}\n\n",
    "\ud800 lone",
    '{"a": NaN}',
    '{"a": [Infinity, -Infinity, 1e999]}',
    '```json\n{"a": 1e999, "a": {"status": "failed"}}\n```',
    "[" * 970 + "]" * 970,
    '{"a":' * 3000 + "1" + "}" * 3000,
    '{"summary": 7, "id": null, "usage": "none", "type": "error"}',
    '"just a string"',
    f"{10**400}",
    "null",
)
_ODD_USAGES: tuple[Any, ...] = (
    {},
    None,
    "many",
    {"input_tokens": None, "output_tokens": None},
    {"input_tokens": "12", "output_tokens": "x"},
    {"input_tokens": -5, "output_tokens": -5},
    {"input_tokens": 1.5, "output_tokens": 2.5},
    {"input_tokens": 1, "output_tokens": 1, "cache_creation": "none", "server_tool_use": 7},
)
_STATUSES = (400, 401, 403, 404, 413, 429, 500, 502, 503, 529)
_PATHS = ("made.txt", "sub/made.txt", "notes.txt")


def _tools(dice: random.Random, _: int) -> Turn:
    calls = [
        tool("Bash", command=f"echo {dice.randrange(100)}"),
        tool("Write", file_path=dice.choice(_PATHS), content="x" * dice.choice([0, 10, 10_000])),
        tool("Read", file_path=dice.choice(_PATHS)),
        tool("Glob", pattern="**/*"),
        tool("Grep", pattern="x"),
        tool("Bash", command="yes | head -c 300000", description="much output"),
        tool("Bash", command="sleep 30 & echo left behind"),
    ]
    return Turn("tools", message("Working.", *dice.sample(calls, dice.choice([1, 1, 2, 4]))))


def _odd_call(dice: random.Random, _: int) -> Turn:
    name = dice.choice(["Bash", "Write", "Read", "Edit", "Teleport", "", "Agent", "Skill", "WebFetch", "mcp__x__y"])
    fields = dice.sample(["command", "file_path", "content", "prompt", "subagent_type", "skill", "args", "é"], 3)
    return Turn(
        f"odd call of {name!r}", message(tool(name, **{one: dice.choice(_ODD_VALUES) for one in fields})), False
    )


def _agent(dice: random.Random, number: int) -> Turn:
    kind = dice.choice(["code-analyzer", "security-auditor", "general-purpose", "fork", ""])
    calls: list[dict[str, Any]] = [
        tool("Agent", subagent_type=kind, description="look", prompt=f"agent-{number}- Look at part {part}.")
        for part in range(dice.choice([1, 1, 3]))
    ]
    return Turn(f"{len(calls)} agents {kind!r}", message(*calls))


def _skill(dice: random.Random, _: int) -> Turn:
    name = dice.choice(["semantic-text-matcher", "dataviz", "../x", ""])
    return Turn(f"skill {name!r}", message(tool("Skill", skill=name, args=dice.choice(["a in b", "", "\u2028"]))))


def _odd_text(dice: random.Random, _: int) -> Turn:
    return Turn("odd text", message(thinking("Hm."), dice.choice(_ODD_TEXTS)), False)


def _huge_text(dice: random.Random, _: int) -> Turn:
    text = dice.choice(["word ", "字", "x", '{"a": 1}\n'])
    return Turn("huge text", message(text * (_HUGE // len(text)), output_tokens=400_000), False)


def _stop_reason(dice: random.Random, _: int) -> Turn:
    reason = dice.choice(["max_tokens", "refusal", "pause_turn", "stop_sequence", "brand_new"])
    return Turn(f"stop reason {reason}", message("I stop.", stop_reason=reason), False)


def _odd_usage(dice: random.Random, _: int) -> Turn:
    return Turn("odd usage", OddUsage(message("Counted."), dice.choice(_ODD_USAGES)), False)


def _cached(dice: random.Random, _: int) -> Turn:
    cached: dict[str, Any] = {
        "cache_read_input_tokens": dice.randrange(5000),
        "cache_creation_input_tokens": dice.randrange(500),
    }
    return Turn("cached", message(tool("Bash", command="true"), **cached))


def _dear(_: random.Random, __: int) -> Turn:
    return Turn("dear", message(tool("Bash", command="true"), input_tokens=10_000_000), False)


def _odd_block(dice: random.Random, _: int) -> Turn:
    blocks: list[dict[str, Any]] = [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "brand_new", "value": float("nan")},
        {"type": "tool_use", "id": "", "name": "Bash", "input": {}},
        {"type": "tool_use", "id": "same", "name": "Bash", "input": {"command": "true"}},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
    ]
    return Turn("odd blocks", message(*dice.choices(blocks, k=2)), False)


def _empty(_: random.Random, __: int) -> Turn:
    return Turn("no content", message(), False)


def _cut(dice: random.Random, _: int) -> Turn:
    whole = message("This is a text of several words that is cut somewhere. " * 5)
    lasting = dice.random() < 0.2
    return Turn("cut", Cut(whole, dice.randrange(8), dice.random() < 0.5), False, lasting)


def _cut_call(dice: random.Random, _: int) -> Turn:
    return Turn("cut call", Cut(message("So.", tool("Bash", command="true")), dice.randrange(3, 7)), False, False)


def _error_event(dice: random.Random, _: int) -> Turn:
    kind = dice.choice(["overloaded_error", "api_error", "invalid_request_error", "brand_new_error"])
    return Turn("error event", ErrorEvent(message("Some words."), dice.randrange(4), kind, "scripted"), False, False)


def _failure(dice: random.Random, _: int) -> Turn:
    status, body = dice.choice(_STATUSES), dice.choice([None, b"<html>no</html>", b"", b'{"error": NaN}', b"[[["])
    headers = dice.choice([{}, {"Retry_After": "0"}, {"Retry_After": "soon"}])
    return Turn(f"status {status}", Failure(status, headers=headers, body=body), False, dice.random() < 0.2)


def _not_a_message(dice: random.Random, _: int) -> Turn:
    body = dice.choice([b"", b"null", b"[]", b"<html>", b'{"type": "message"}', b"\xff\xfe", b'{"content": 7}'])
    return Turn("200 that is no message", Failure(200, body=body), False, False)


def _stall(_: random.Random, __: int) -> Turn:
    return Turn("stall", Hang(), False)


_TURNS: dict[Make, int] = {
    _tools: 25,
    _agent: 12,
    _skill: 8,
    _odd_call: 12,
    _odd_text: 12,
    _odd_block: 5,
    _odd_usage: 5,
    _cached: 4,
    _huge_text: 3,
    _stop_reason: 5,
    _dear: 2,
    _empty: 2,
    _cut: 8,
    _cut_call: 4,
    _error_event: 6,
    _failure: 10,
    _not_a_message: 4,
    _stall: 2,
}


def behaviours(count: int, seed: str) -> list[Behaviour]:
    """Return random behaviours. The first ones show each kind of turn once."""
    return [behaviour(number, seed) for number in range(count)]


def behaviour(number: int, seed: str) -> Behaviour:
    """Return the behaviour with this number."""
    dice = random.Random(f"{seed} {number}")
    kinds = list(_TURNS)
    first = kinds[number] if number < len(kinds) else None
    chosen = dice.choices(kinds, list(_TURNS.values()), k=dice.choice([1, 1, 2, 3]))
    return _behaviour(number, dice, [first] if first else chosen)


def short_behaviours(seed: str) -> list[Behaviour]:
    """Return two behaviours with several kinds of turns each, of which only the last ones end a task."""
    chosen: list[list[Make]] = [[_tools, _agent, _skill, _odd_call, _odd_text], [_cached, _agent, _tools, _odd_usage]]
    return [_behaviour(number, random.Random(f"{seed} {number}"), kinds) for number, kinds in enumerate(chosen)]


def _behaviour(number: int, dice: random.Random, kinds: list[Make]) -> Behaviour:
    turns = tuple(make(dice, number) for make in kinds)
    endless = any(
        isinstance(turn.reply, Hang) or (turn.lasting and not isinstance(turn.reply, Mapping | OddUsage))
        for turn in turns
    )
    arguments: dict[str, Any] = {
        "allow_tools": dice.choice([["Bash", "Read", "Write", "Edit", "Glob", "Grep"], ["Read"]]),
        "allow_agents": dice.choice([[], ["code-analyzer", "security-auditor"]]),
        "allow_skills": dice.choice([[], ["semantic-text-matcher"]]),
        "timeout": STALLED if endless else 60,
    }
    return Behaviour(number, turns, arguments)


@dataclass
class Bill:
    """The endpoint's bill for the calls of one task, and the most that it may come to.

    Both are input and output tokens.
    """

    charged: Counter[str] = field(default_factory=Counter)
    """Counts that the replies reported, or would have reported if the task had read them to their ends."""
    most: Counter[str] = field(default_factory=Counter)
    """Bill with all that the request allows for replies that did not report their usage to their ends."""
    reserved: Counter[str] = field(default_factory=Counter)
    """All that the requests allow."""
    largest: Counter[str] = field(default_factory=Counter)
    """Most that one of the requests allows."""


@dataclass
class BehavingModel:
    """Script of a Messages endpoint: every request is replied to by the behaviour of its task."""

    behaviours: Mapping[int, Behaviour]
    bills: dict[int, Bill] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    """Requests by the kind of their turn."""
    _served: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, body: dict[str, Any]) -> Reply:
        if "max_tokens" not in body:
            return {"input_tokens": 100}  # A request to count tokens, which is free.
        found = _MARK.search(json.dumps(body["messages"][0]))
        assert found is not None, body["messages"][0]
        role, number = found[1], int(found[2])
        with self._lock:
            index = sum(one["role"] == "assistant" for one in body["messages"])
            turn = self._turn(role, number, index, int(body["max_tokens"]))
            self.calls[turn.name] += 1
            self._charge(number, body, turn.reply)
            return turn.reply

    def _turn(self, role: str, number: int, index: int, max_tokens: int) -> Turn:
        turns = self.behaviours[number].turns
        if role == "agent":
            return Turn("agent's text", message("The agent has looked."))
        if index >= len(turns):
            return Turn("end", message("Done."))
        turn = turns[index]
        self._served[number, role, index] += 1
        if not turn.lasting and self._served[number, role, index] > 1:
            return Turn("recovered", message("Done after all."))
        # Each message has an ID and usage of its own.
        return replace(turn, reply=message_again(turn.reply, max_tokens))

    def _charge(self, number: int, body: Mapping[str, Any], reply: Reply) -> None:
        bill = self.bills.setdefault(number, Bill())
        allowed = Counter(input=_most_input(body), output=int(body["max_tokens"]))
        bill.reserved += allowed
        bill.largest |= allowed
        match reply:
            case Cut() | ErrorEvent() if reply.after:
                told = Counter(input=_count(reply.message, "input_tokens"))
                bill.charged += told
                bill.most += allowed | told
            case Failure(200 | 502, body=bytes()) | Cut() | ErrorEvent() | OddUsage() | Hang():
                # What a gateway answers with a 502 of its own may have cost something too.
                bill.most += allowed
            case Failure():
                pass
            case Disconnect() | Whole():
                raise TypeError(f"no behaviour sends {reply}")
            case _:
                told = Counter(input=sum(_count(reply, name) for name in _INPUT), output=_count(reply, "output_tokens"))
                bill.charged += told
                bill.most += told


_INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def message_again(reply: Reply, max_tokens: int) -> Reply:
    """Return the reply with an ID of its own, and billed for at most ``max_tokens`` of output, if it is a message."""
    if not isinstance(reply, Mapping):
        return reply
    usage = {**reply["usage"], "output_tokens": min(_count(reply, "output_tokens"), max_tokens)}
    return {**reply, "id": message()["id"], "usage": usage}


def _count(reply: Mapping[str, Any], name: str) -> int:
    return int(reply["usage"].get(name) or 0)


def _most_input(body: Mapping[str, Any]) -> int:
    """Return the most tokens that the server may reserve for a prompt: it may correct its estimate to the double."""
    return 2 * (len(json.dumps(body)) + 1000)
