"""Embedded server as a child process, and the command line."""
