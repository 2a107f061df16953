"""Command line as a module: ``python -m claude_code_client``."""

from __future__ import annotations

import sys

from ._embedded.cli import main

sys.exit(main())
