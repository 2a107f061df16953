"""The embedded server: the contract, served on the real Claude Code. ``app.create_app`` is the application."""
