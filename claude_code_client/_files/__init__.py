"""The local disk: the task journal, and files written atomically below a directory."""
