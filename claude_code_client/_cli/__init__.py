"""Command line of the package: a dispatcher, and a module for each command."""
