"""Bytes and JSON to objects and back: requests, responses, errors, event IDs. No I/O."""
