"""The storage: tasks, events, idempotency keys and usage in SQLite."""
