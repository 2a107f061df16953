# Generated from ../_async/__init__.py by `make generate`; not to be edited.

"""Public classes of the synchronous client."""
