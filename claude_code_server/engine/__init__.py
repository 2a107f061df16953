"""The engine: every task is one run of Claude Code."""
