"""Embedded server: serves the contract of the Claude Code API on the real Claude Code.

``http.app.create_app`` returns the ASGI application; ``process`` runs it.
"""
