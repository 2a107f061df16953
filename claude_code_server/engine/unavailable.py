"""Error for what the engine needs and does not find on this machine."""


class UnavailableError(RuntimeError):
    """Claude Code or its sandbox cannot run here, or a requested tool is missing. The message says what to do."""
