"""The asynchronous client, source of the synchronous one: ``make generate`` writes ``_sync`` from it."""
