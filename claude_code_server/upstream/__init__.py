"""Upstreams: sources of model responses in the Messages format."""
