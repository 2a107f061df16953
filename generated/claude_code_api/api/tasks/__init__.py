# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Contains endpoint functions for accessing the API"""
