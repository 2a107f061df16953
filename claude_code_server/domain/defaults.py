"""Defaults of the contract for what a request leaves out."""

from __future__ import annotations

from typing import Final

MAX_COST: Final = 1.0
"""USD that a task may cost."""
TIMEOUT: Final = 300.0
"""Seconds that a task may run."""
