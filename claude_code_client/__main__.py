"""Command line as a module: ``python -m claude_code_client``."""

from __future__ import annotations

import sys

from ._cli.cli import main

sys.exit(main())
