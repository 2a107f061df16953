"""Threads for background work, started without waiting for a lock, also by finalizers and signal handlers.

The garbage collector runs finalizers in whatever thread it happens to run, within whatever that does; the same goes for
signal handlers in the main thread. They must not wait for a lock that the interrupted code holds, such as those of the
module ``threading`` that ``Thread.start`` takes. Nor may a finalizer wait for a network.
"""

from __future__ import annotations

import _thread
import atexit
import gc
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

_collecting: Final = set[int]()
"""Threads in which the garbage collector is running finalizers."""
_unstarted: Final = deque[tuple[Callable[[], object], str]]()


def is_collecting() -> bool:
    """Return whether the garbage collector has called this code."""
    return threading.get_ident() in _collecting


def start_thread(run: Callable[[], object], name: str) -> bool:
    """Start a thread that the process waits for before it ends; return False if there can be none."""
    if not _may_wait():
        _unstarted.append((run, name))
        # Does not wait for the thread, which then waits for the locks.
        with suppress(RuntimeError):  # no thread can be started: at the end of the process
            _thread.start_new_thread(_start_all, ())
        return True
    with suppress(RuntimeError):
        threading.Thread(target=run, name=name).start()
        return True
    return False


def _may_wait() -> bool:
    """Return whether this thread cannot be in the middle of starting or ending a thread."""
    if is_collecting():
        return False
    # Not public, but the same in all versions that have them.
    limbo: Any = getattr(threading, "_active_limbo_lock", None)
    shutdown: Any = getattr(threading, "_shutdown_locks_lock", None)
    return not (limbo is not None and limbo._is_owned()) and not (shutdown is not None and shutdown.locked())


def _start_all() -> None:
    while _unstarted:
        with suppress(IndexError):  # another thread has been faster
            run, name = _unstarted.popleft()
            try:
                # daemon=None asks for the current thread, and threading would list this one for ever.
                threading.Thread(target=run, name=name, daemon=False).start()
            except RuntimeError:
                run()


def _note_collection(phase: str, _: dict[str, int]) -> None:
    if phase == "start":
        _collecting.add(threading.get_ident())
    else:
        _collecting.discard(threading.get_ident())


gc.callbacks.append(_note_collection)
atexit.register(_start_all)
