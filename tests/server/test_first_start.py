"""Flags of the first Claude Code that a server starts, for the later ones; nothing else passes from run to run."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest
from support.servers.claude_code_bench import bench
from support.servers.messages_endpoint import message, tool

from claude_code_server.engine.first_start import FirstStart

FILE = ".claude.json"
OWN = ("firstStartTime", "machineID", "userID")
"""Fields that differ from run to run; the last may come late."""


def directories(tmp_path: Path, *configurations: str) -> list[Path]:
    made = []
    for number, text in enumerate(configurations):
        made.append(tmp_path / str(number))
        made[-1].mkdir()
        if text:
            (made[-1] / FILE).write_text(text)
    return made


def test_only_flags_are_learned(tmp_path: Path) -> None:
    known = {"migrated": True, "version": 15, "userID": "canary", "projects": {"canary": {"trusted": True}}, "x": None}
    first, second, later = directories(tmp_path, json.dumps(known), json.dumps({"poisoned": True}), "")
    learned = FirstStart()
    learned.learn_from(first)
    learned.learn_from(second)
    learned.write_to(later)
    assert json.loads((later / FILE).read_text()) == {"migrated": True, "version": 15}


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", '{"userID": "x"}', "\udcff"], ids=str)
def test_without_flags_nothing_is_written(tmp_path: Path, text: str) -> None:
    first, second, later = directories(tmp_path, "", '{"poisoned": true}', "")
    (first / FILE).write_bytes(text.encode(errors="surrogateescape"))
    learned = FirstStart()
    learned.write_to(later)
    learned.learn_from(first)
    learned.learn_from(second)
    learned.write_to(later)
    assert list(later.iterdir()) == []


@pytest.mark.slow
def test_the_second_run_starts_from_the_flags_of_the_first(tmp_path: Path) -> None:
    command = f"cat $CLAUDE_CONFIG_DIR/{FILE}; echo '{{\"poisoned\": true}}' >$CLAUDE_CONFIG_DIR/{FILE}"
    script = [message(tool("Bash", command=command)), message("Done.")]

    async def main() -> None:
        async with bench(tmp_path, script + script) as made:
            first, second = [json.loads((await made.run()).of("tool_result")[0]["result"]) for _ in range(2)]
            flags = {name: value for name, value in first.items() if isinstance(value, bool | int)}
            # Claude Code writes what it was given first, and something of its own before anything else.
            given = dict(itertools.takewhile(lambda item: item[0] not in OWN, second.items()))
            assert given
            assert given.items() <= flags.items()
            assert not {first.get(name, 1) for name in OWN} & {second.get(name, 2) for name in OWN}
            assert "poisoned" not in second

    asyncio.run(main())
