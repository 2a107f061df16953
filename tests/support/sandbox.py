"""Availability of the sandbox of tasks. The CI requires it; elsewhere its tests are skipped without it."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

AVAILABLE = sys.platform == "linux" and shutil.which("bwrap") is not None

needs_sandbox = pytest.mark.skipif(
    not AVAILABLE and "REQUIRE_SANDBOX" not in os.environ, reason="bubblewrap (bwrap) is not installed"
)
