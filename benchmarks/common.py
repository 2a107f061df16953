"""The call that is measured everywhere."""

from __future__ import annotations

from typing import Final

KEY: Final = "sk-proj-bench"
BODY: Final = {"messages": [{"role": "user", "content": "Hello"}]}
PATH: Final = "/v1/chat/completions"
