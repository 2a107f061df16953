"""A rule-based stand-in for a language model, in the Messages format, with no key and no network."""

from claude_code_server.offline.model import reply

__all__ = ["reply"]
