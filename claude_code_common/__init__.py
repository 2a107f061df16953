"""Code that the client and the embedded server share: server-sent events, loopback addresses and the version."""
