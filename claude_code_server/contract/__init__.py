"""The OpenAPI contract: operations and validation of what clients send."""
