"""The synchronous client, generated from ``_async``; never edited by hand."""
