"""HTTP, threads and event loops. The only package that knows httpx and httpcore: others would replace them here."""
