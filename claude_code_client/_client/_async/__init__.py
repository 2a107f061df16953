"""Public classes of the asynchronous client."""
