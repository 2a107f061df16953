"""Local disk: the task journal, and files that are written atomically below a directory."""
