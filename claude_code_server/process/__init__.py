"""The processes that run the server: command line, child process, startup."""
