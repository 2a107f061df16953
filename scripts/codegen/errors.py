"""The one exception of the generation."""


class GenerationError(Exception):
    """Generation cannot go on; the message says why, for people."""
