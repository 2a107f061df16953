"""Parts of the scripts that write documentation: reading docstrings and source files."""
