# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited.

"""Contains endpoint functions for accessing the API"""
