"""The HTTP interface: requests, responses, routes."""
