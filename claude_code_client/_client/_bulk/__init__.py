"""Batches: many items through ``complete()`` or ``execute_task()``, paced by what the server can take."""
