"""HTTP, threads and event loops. The only package that knows httpx: another library would replace it here alone."""
