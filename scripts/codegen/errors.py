"""Exception of the code generation."""


class GenerationError(Exception):
    """The code cannot be generated; the message gives the reason."""
