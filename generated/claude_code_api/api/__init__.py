# Generated from openapi/claude-code-api.yaml by `make generate`. Do not edit.

"""Contains methods for accessing the API"""
