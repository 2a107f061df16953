"""Estimates of tokens: against public tokenizers, and in speed."""

import threading
import time

import pytest
from support.token_samples import COUNTS, TEXTS

from claude_code_common.token_estimate import estimate_tokens


@pytest.mark.parametrize("name", TEXTS)
def test_an_estimate_is_not_too_low_by_more_than_a_tenth(name: str) -> None:
    """The tokenizers of newer models split prose and code into up to 1.35 times as many tokens."""
    estimate, counts = estimate_tokens(TEXTS[name]), COUNTS[name]
    assert estimate >= 0.9 * max(counts)
    if name in ("English", "Python", "minified JavaScript", "JSON", "paths"):
        assert estimate >= 0.9 * 1.35 * max(counts)
    assert estimate <= 3 * max(counts)


def test_short_texts() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens(" ") == 1
    assert estimate_tokens("a\ud83d\u0000") > 1


def test_a_large_text_does_not_stop_other_threads() -> None:
    pauses: list[float] = []
    over = threading.Event()

    def watch() -> None:
        before = time.process_time()  # other processes do not count
        while not over.wait(0.001):
            now = time.process_time()
            pauses.append(now - before)
            before = now

    watcher = threading.Thread(target=watch)
    watcher.start()
    estimate_tokens(TEXTS["English"] * 300)
    over.set()
    watcher.join()
    assert max(pauses) < 0.5
