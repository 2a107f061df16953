"""Program that uses one journal from many processes, and kills them in the middle of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from claude_code_client._files.journal import Journal

BODY = {"description": "x" * 200}
STEPS = {"open", "os.rename", "os.remove"}


def fork(run: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        finally:
            os._exit(1)
    return child


def killed_at(step: int, folder: str) -> Callable[[str, Any], None]:
    left = step

    def hook(event: str, arguments: Any) -> None:
        nonlocal left
        if event in STEPS and str(arguments[0]).startswith(folder):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


def kill_everywhere(folder: Path) -> int:
    """Kill a process at each step that changes a file; return how many there are."""
    for step in range(1, 100):
        path = folder / f"journal {step}"
        journal = Journal(path)
        journal.submitting("kept", BODY, 5)
        journal.submitting("settled", BODY, 5)

        def work(step: int = step, path: Path = path) -> None:
            sys.addaudithook(killed_at(step, str(path)))
            journal = Journal(path)
            journal.done("settled")
            journal.submitting("new", BODY, 5)
            journal.submitted("new", "task_1")
            journal.done("new")
            Journal(path)

        _, status = os.waitpid(fork(work), 0)
        keys = [entry.key for entry in Journal(path).unfinished()]
        assert keys[0] == "kept", (step, keys)
        assert set(keys) <= {"kept", "settled", "new"}, (step, keys)
        if status == 0:
            assert keys == ["kept"]
            assert sorted(each.name for each in folder.iterdir() if each.name.startswith(path.name)) == [path.name]
            return step - 1
        Journal(path).done("settled")
        assert [entry.key for entry in Journal(path).unfinished() if entry.key != "new"] == ["kept"]
    raise AssertionError


def share(folder: Path, processes: int, tasks: int) -> None:
    """Write from many processes, which compact the file all the time; every second task is settled."""
    path = folder / "shared"

    def work(number: int) -> None:
        for task in range(tasks):
            journal = Journal(path)
            key = f"{number}-{task}"
            journal.submitting(key, BODY, 5)
            journal.submitted(key, f"task_{key}")
            if task % 2:
                journal.done(key)

    children = [fork(partial(work, number)) for number in range(processes)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * processes
    found = {entry.key: entry.task_id for entry in Journal(path).unfinished()}
    expected = {f"{number}-{task}" for number in range(processes) for task in range(0, tasks, 2)}
    assert found == {key: f"task_{key}" for key in expected}, len(found)
    assert path.read_bytes().count(b'"done"') == 0


if __name__ == "__main__":
    place = Path(sys.argv[1])
    print(kill_everywhere(place), "steps")
    share(place, 4, int(sys.argv[2]))
