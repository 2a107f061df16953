"""Limit of open files, of which every connection takes one."""

from __future__ import annotations

import resource


def raise_limit() -> int:
    """Raise this process's limit as far as it may; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1 << 20 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
