"""The runtime: an HTTP server on asyncio, error logging, notifications."""
