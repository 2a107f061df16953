# Generated from openapi/claude-code-api.yaml by `make generate`; not to be edited.

"""Contains methods for accessing the API"""
