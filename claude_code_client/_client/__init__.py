"""Public classes: the asynchronous source in ``_async``, its generated synchronous twin in ``_sync``."""
